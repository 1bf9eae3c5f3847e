package set

import "testing"

func TestHas(t *testing.T) {
	if s := Of("a"); !s.Has("a") || s.Has("b") {
		t.Fatal("wrong")
	}
}
