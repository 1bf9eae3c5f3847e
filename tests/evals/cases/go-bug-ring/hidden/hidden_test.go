package ring

import (
	"reflect"
	"testing"
)

func TestHiddenOrder(t *testing.T) {
	r := New(3)
	for n := 1; n <= 7; n++ {
		r.Add(n)
		from := n - 2
		if from < 1 {
			from = 1
		}
		want := []int{}
		for each := from; each <= n; each++ {
			want = append(want, each)
		}
		if got := r.Values(); !reflect.DeepEqual(got, want) {
			t.Fatalf("after %d: got %v, want %v", n, got, want)
		}
	}
}

func TestHiddenCopy(t *testing.T) {
	r := New(2)
	r.Add(1)
	r.Values()[0] = 9
	if r.Values()[0] != 1 {
		t.Fatal("the values are the ring's own")
	}
}
