// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"testing"
	"time"
)

// SetBackoff makes the first pause between tries shorter for a test.
func SetBackoff(t *testing.T, d time.Duration) {
	old := firstBackoff
	firstBackoff = d
	t.Cleanup(func() { firstBackoff = old })
}
