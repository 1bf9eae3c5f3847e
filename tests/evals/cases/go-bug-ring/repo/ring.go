// Package ring keeps the last values of a series.
package ring

// Ring keeps the last values that were added.
type Ring struct {
	values []int
	next   int
}

// New makes a ring of a size.
func New(size int) *Ring {
	return &Ring{values: make([]int, 0, size)}
}

// Add puts a value in, in the place of the oldest one when it is full.
func (r *Ring) Add(value int) {
	if len(r.values) < cap(r.values) {
		r.values = append(r.values, value)
		return
	}
	r.values[r.next] = value
	r.next = (r.next + 1) % len(r.values)
}

// Values gives all values, the oldest first.
func (r *Ring) Values() []int {
	return append([]int(nil), r.values...)
}
