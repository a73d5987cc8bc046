// SPDX-License-Identifier: Apache-2.0

//go:build !breakable

// Package guard names what keeps the promise when processes die, so that a test can break one guard at a time and see
// that it is missed. Only a binary built with the tag breakable can be broken.
package guard

// Broken reports whether a guard has been broken. In a binary for use none can be.
func Broken(Guard) bool { return false }

// Env is what a child process has to know of what is broken.
func Env() []string { return nil }

// Die does nothing. In a binary for tests it may be the end; see its other self.
func Die(point string) {}
