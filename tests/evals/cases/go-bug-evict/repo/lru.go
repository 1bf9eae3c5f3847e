// Package lru is a small cache.
package lru

import "container/list"

type entry struct{ key, value string }

// Cache holds a bounded number of entries.
type Cache struct {
	size  int
	order *list.List
	known map[string]*list.Element
}

// New makes a cache of a size.
func New(size int) *Cache {
	return &Cache{size, list.New(), map[string]*list.Element{}}
}

// Get looks an entry up.
func (c *Cache) Get(key string) (string, bool) {
	element, found := c.known[key]
	if found {
		return element.Value.(entry).value, true
	}
	return "", false
}

// Put adds an entry, or gives one a new value.
func (c *Cache) Put(key, value string) {
	if element, found := c.known[key]; found {
		element.Value = entry{key, value}
		return
	}
	c.known[key] = c.order.PushFront(entry{key, value})
	if c.order.Len() > c.size {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.known, last.Value.(entry).key)
	}
}
