// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package keeper

import "syscall"

// dieWithParent does nothing where the kernel cannot tie a process to its parent: a bot outlives a keeper that is killed.
func dieWithParent(*syscall.SysProcAttr) {}
