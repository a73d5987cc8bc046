// SPDX-License-Identifier: Apache-2.0

//go:build breakable

// Package guard names what keeps the promise when processes die, so that a test can break one guard at a time and see
// that it is missed. This is the binary of that test.
package guard

import "os"

// Broken reports whether TRUNKLINE_BREAK names the guard.
func Broken(g Guard) bool { return os.Getenv("TRUNKLINE_BREAK") == string(g) }

// Env is what a child process has to know of what is broken.
func Env() []string { return []string{"TRUNKLINE_BREAK=" + os.Getenv("TRUNKLINE_BREAK")} }
