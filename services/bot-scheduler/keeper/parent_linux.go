// SPDX-License-Identifier: Apache-2.0

package keeper

import "syscall"

// dieWithParent has the kernel kill the bot when its keeper dies.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
