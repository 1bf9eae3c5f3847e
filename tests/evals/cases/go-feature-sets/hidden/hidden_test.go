package set

import (
	"reflect"
	"testing"
)

func TestHiddenOperations(t *testing.T) {
	a, b := Of("x", "y"), Of("y", "z")
	for name, pair := range map[string][2]Set{
		"union":     {a.Union(b), Of("x", "y", "z")},
		"intersect": {a.Intersect(b), Of("y")},
		"without":   {a.Without(b), Of("x")},
		"empty":     {Of().Intersect(a), Of()},
		"unchanged": {a, Of("x", "y")},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, not %v", name, pair[0], pair[1])
		}
	}
	a.Union(b)["new"] = struct{}{}
	if a.Has("new") || b.Has("new") {
		t.Error("a result is one of the two")
	}
}
