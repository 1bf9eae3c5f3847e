package lru

import "testing"

func TestBounded(t *testing.T) {
	c := New(2)
	c.Put("a", "1")
	c.Put("b", "2")
	c.Put("c", "3")
	if _, found := c.Get("a"); found {
		t.Fatal("a is still there")
	}
	if value, _ := c.Get("c"); value != "3" {
		t.Fatalf("c is %q", value)
	}
}
