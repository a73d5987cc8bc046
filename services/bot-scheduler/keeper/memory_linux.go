// SPDX-License-Identifier: Apache-2.0

package keeper

import "golang.org/x/sys/unix"

// limitMemory bounds the address space of a process and of those that it starts from now on; 0 is no limit.
func limitMemory(pid int, bytes uint64) error {
	if bytes == 0 {
		return nil
	}
	return unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: bytes, Max: bytes}, nil)
}
