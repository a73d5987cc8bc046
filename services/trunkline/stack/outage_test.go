// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"flag"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

var outage = flag.Duration("outage", 8*time.Second, "how long Daily is out of order in the tests of that")

// Invariant 9: who holds for longer than Daily is out of order is forwarded after it.
func TestACallerOutlastsAnOutageOfDailys(t *testing.T) {
	for what, match := range map[string]string{"creating rooms": "POST /rooms", "forwarding": forwardRequest} {
		for how, fault := range map[string]sim.Fault{
			"429":     {Kind: "status", Status: 429},
			"500":     {Kind: "status", Status: 500},
			"garbage": {Kind: "garbage"},
			"nothing": {Kind: "drop"},
		} {
			t.Run(what+" is answered with "+how, func(t *testing.T) {
				t.Parallel()
				const callers = 3
				w := start(t, bot(2*callers), settlesWithin(2*time.Second))
				fault.Match = match
				w.faults(fault)
				over := make(chan time.Time)
				time.AfterFunc(*outage, func() {
					w.faults()
					over <- time.Now()
				})
				phones := make([]sim.Call, callers)
				for i := range phones {
					phones[i] = w.place(sim.CallSpec{From: caller, Talk: short})
				}
				ended := <-over
				for i, phone := range phones {
					phones[i] = w.connected(phone)
					if at := phones[i].ForwardedAt; at == nil || at.Before(ended) {
						t.Errorf("forwarded at %v, the outage ended at %v", at, ended)
					}
				}
				w.sound(phones...)
			})
		}
	}
}
