// Package set has sets of words.
package set

// Set is a set of words.
type Set map[string]struct{}

// Of makes a set.
func Of(values ...string) Set {
	made := Set{}
	for _, value := range values {
		made[value] = struct{}{}
	}
	return made
}

// Has says whether a word is in it.
func (s Set) Has(value string) bool {
	_, found := s[value]
	return found
}
