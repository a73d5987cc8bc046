// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"testing"
)

func TestBotsThatHaveGoneAreForgotten(t *testing.T) {
	g := &Gate{PerSecond: 1}
	stays := who{kind: aKey, name: "crm"}
	limit := g.limit(stays)
	for n := range 2 * mostLimits {
		g.limit(bot(fmt.Sprint(n), 1))
		if g.limit(stays) != limit {
			t.Fatalf("after %d bots, a key that goes on asking begins anew", n)
		}
	}
	if n := g.limits.Len(); n != mostLimits {
		t.Errorf("%d limits are remembered", n)
	}
}
