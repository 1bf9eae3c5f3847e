package config

import "testing"

func TestLoad(t *testing.T) {
	if value, err := Load("a=1\n\nb=2", "b"); value != "2" || err != nil {
		t.Fatal(value, err)
	}
	if _, err := Load("a=1", "b"); !IsMissing(err) {
		t.Fatal(err)
	}
}
