// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"fmt"
	"os"
	"runtime"
)

// Busy reports whether more is to be done on this machine than it can do, by far: what is late there is no fault of ours.
// Where a machine does not say, it is not.
func Busy() bool {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return false
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err != nil {
		return false
	}
	return load > 2*float64(runtime.NumCPU())
}
