// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package keeper

import "errors"

// limitMemory can limit nothing where a process cannot set the limits of another.
func limitMemory(_ int, bytes uint64) error {
	if bytes == 0 {
		return nil
	}
	return errors.New("memory_limit is for Linux")
}
