// SPDX-License-Identifier: Apache-2.0

//go:build breakable

// Package guard names what keeps the promise when processes die, so that a test can break one guard at a time and see
// that it is missed. This is the binary of that test.
package guard

import (
	"os"
	"syscall"
)

// Broken reports whether TRUNKLINE_BREAK names the guard.
func Broken(g Guard) bool { return os.Getenv("TRUNKLINE_BREAK") == string(g) }

// Env is what a child process has to know of what is broken.
func Env() []string { return []string{"TRUNKLINE_BREAK=" + os.Getenv("TRUNKLINE_BREAK")} }

// Die ends the process without a word where TRUNKLINE_DIE_AT names the point, once: the file that TRUNKLINE_DIE_MARK
// names is there from then on.
func Die(point string) {
	if os.Getenv("TRUNKLINE_DIE_AT") != point {
		return
	}
	mark, err := os.OpenFile(os.Getenv("TRUNKLINE_DIE_MARK"), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	_ = mark.Close() // it is there, and that is all
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
