package config

import (
	"errors"
	"fmt"
	"testing"
)

func TestHiddenErrors(t *testing.T) {
	_, missing := Load("a=1", "b")
	_, invalid := Load("a=1\nx", "b")
	if !errors.Is(missing, ErrMissing) || missing.Error() != "b: missing" {
		t.Errorf("missing: %v", missing)
	}
	if !errors.Is(invalid, ErrInvalid) || invalid.Error() != "line 2: invalid" {
		t.Errorf("invalid: %v", invalid)
	}
	if !IsMissing(fmt.Errorf("while starting: %w", missing)) || IsMissing(invalid) || IsMissing(nil) {
		t.Error("IsMissing does not look into errors")
	}
	if IsMissing(errors.New("x: missing")) {
		t.Error("IsMissing goes by words")
	}
}
