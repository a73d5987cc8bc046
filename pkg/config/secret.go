// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// A Secret is a text that no log, error or dump shows. Only Reveal gives it.
//
// Keep it in exported fields: package fmt cannot call the methods of what is
// in an unexported one, and prints the text itself.
type Secret string

// Reveal is the secret itself, for the request or the hash that needs it.
func (s Secret) Reveal() string { return string(s) }

// String is "[redacted]", or empty for no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format is String, whatever the verb, even a wrong one.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON is String, quoted.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalText is String; YAML and XML ask for it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
