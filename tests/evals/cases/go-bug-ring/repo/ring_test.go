package ring

import (
	"reflect"
	"testing"
)

func TestNotFull(t *testing.T) {
	r := New(3)
	r.Add(1)
	r.Add(2)
	if got := r.Values(); !reflect.DeepEqual(got, []int{1, 2}) {
		t.Fatalf("got %v", got)
	}
}
