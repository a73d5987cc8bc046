// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// Longer than an answer of Daily's is waited for.
const tooSlow = sim.Duration(11 * time.Second)

// Invariants 1 and 9: however a request to forward fails to be answered, the caller is forwarded, and once.
func TestAForwardInDoubtIsSettled(t *testing.T) {
	// Each strikes one caller's request.
	doubts := []struct {
		phrase string
		fault  sim.Fault
	}{
		{"no answer in time, and Daily has not acted", sim.Fault{Kind: "slow", Delay: tooSlow}},
		{"no answer in time, and Daily has acted", sim.Fault{Kind: "slow", Delay: tooSlow, When: "after"}},
		{"500, and Daily has not acted", sim.Fault{Kind: "status", Status: 500}},
		{"500, and Daily has acted", sim.Fault{Kind: "status", Status: 500, When: "after"}},
		{"the connection breaks, and Daily has not acted", sim.Fault{Kind: "drop"}},
		{"the connection breaks, and Daily has acted", sim.Fault{Kind: "drop", When: "after"}},
		{"garbage, and Daily has acted", sim.Fault{Kind: "garbage", When: "after"}},
	}
	for _, second := range []string{"404", "second-leg"} {
		for phrase, told := range map[string]func(*stack.Options){"Daily tells": func(*stack.Options) {}, "Daily tells nothing": noDomainWebhook} {
			t.Run("second forward: "+second+", "+phrase, func(t *testing.T) {
				t.Parallel()
				// Presence shows who is there 2 s before it is asked, on a machine that is busy with other things as well.
				const settle = 12 * time.Second
				agent := bot(len(doubts))
				agent.ReadyTimeout = time.Minute // nobody is given up because the machine is slow
				w := start(t, agent, settlesWithin(settle), told, withSim(func(c *sim.Config) { c.SecondForward = second }))
				phones, faults := make([]sim.Call, len(doubts)), make([]sim.Fault, len(doubts))
				for i, doubt := range doubts {
					phones[i] = w.place(sim.CallSpec{From: caller, Webhook: sim.CallWebhook{Lose: true}})
					faults[i] = doubt.fault
					faults[i].Match, faults[i].Body, faults[i].Times = forwardRequest, phones[i].ID, 1
				}
				w.faults(faults...)
				for _, phone := range phones { // now that it is known whom to strike
					if status, info := w.deliver(dialin(t, phone), time.Now()); status != http.StatusOK {
						t.Fatal(status, info)
					}
				}
				for i, phone := range phones {
					w.connected(phone)
					w.settled(phone)
					if err := w.Sim.Hangup(phone.ID); err != nil {
						t.Fatal(err)
					}
					requests := w.forwards(phone)
					acted := slices.IndexFunc(requests, func(r sim.Request) bool { return r.Acted })
					if len(requests) == 0 || len(requests[0].Faults) != 1 || acted < 0 {
						t.Fatalf("%s: the requests were %+v", doubts[i].phrase, requests)
					}
					if done := doubts[i].fault.When == "after"; done != (len(requests) == 1) {
						t.Errorf("%s: the requests were %+v", doubts[i].phrase, requests)
					}
				}
				w.sound(phones...)
			})
		}
	}
}

// What Daily clearly did not act on is repeated; the time in which there must be a sign begins after that.
func TestTheDoubtBeginsWithTheLastRequest(t *testing.T) {
	t.Parallel()
	const settle = 3 * time.Second
	w := start(t, bot(1), settlesWithin(settle), noDomainWebhook, withSim(func(c *sim.Config) {
		c.PresenceLagMin = c.PresenceLagMax
	}))
	w.faults(
		sim.Fault{Match: forwardRequest, Kind: "status", Status: 429, Times: 4},
		sim.Fault{Match: forwardRequest, Kind: "drop", When: "after", Times: 1},
	)
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.settled(phone)
	if err := w.Sim.Hangup(phone.ID); err != nil {
		t.Fatal(err)
	}
	if requests := w.forwards(phone); len(requests) != 5 {
		t.Errorf("the requests were %+v", requests)
	}
	w.sound(phone)
}
