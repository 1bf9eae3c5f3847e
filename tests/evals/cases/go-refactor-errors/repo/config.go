// Package config reads settings of the form name=value.
package config

import (
	"fmt"
	"strings"
)

// Load finds a setting.
func Load(text, name string) (string, error) {
	for number, line := range strings.Split(text, "\n") {
		if line == "" {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return "", fmt.Errorf("line %d: invalid", number+1)
		}
		if key == name {
			return value, nil
		}
	}
	return "", fmt.Errorf("%s: missing", name)
}

// IsMissing says whether an error is about a setting that is not there.
func IsMissing(err error) bool {
	return err != nil && strings.HasSuffix(err.Error(), ": missing")
}
