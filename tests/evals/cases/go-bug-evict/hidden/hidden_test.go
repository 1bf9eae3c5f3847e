package lru

import "testing"

func TestHiddenReadStays(t *testing.T) {
	c := New(2)
	c.Put("a", "1")
	c.Put("b", "2")
	c.Get("a")
	c.Put("c", "3")
	if _, found := c.Get("a"); !found {
		t.Fatal("a was read last and is gone")
	}
	if _, found := c.Get("b"); found {
		t.Fatal("b is still there")
	}
}

func TestHiddenPutAgainStays(t *testing.T) {
	c := New(2)
	c.Put("a", "1")
	c.Put("b", "2")
	c.Put("a", "3")
	c.Put("c", "4")
	if value, _ := c.Get("a"); value != "3" {
		t.Fatalf("a is %q", value)
	}
}
