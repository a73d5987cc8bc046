// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// A scheduler that dies with a request under way is given the timer again that led to it. Where a second request makes a
// second leg, and nothing tells yet that the first was heard, it must wait and not ask once more.
func TestAForwardThatIsRepeatedWhileTheSchedulerDiesIsNotRepeatedAtOnce(t *testing.T) {
	w := watched(t, options{slots: 1, daily: ", presence_settle: 16s, janitor_interval: 1s", sim: func(c *sim.Config) {
		c.SecondForward = "second-leg"
		c.PresenceLagMin, c.PresenceLagMax = sim.Duration(6*time.Second), sim.Duration(6*time.Second)
	}})
	strikes := func(f sim.Fault) {
		f.Match, f.Times = "POST /dialin/pinlessCallUpdate", 1
		if err := w.Sim.SetFaults(sim.Faults{Events: sim.WebhookFaults{Lose: 1}, REST: []sim.Fault{f}}); err != nil {
			t.Fatal(err)
		}
	}
	strikes(sim.Fault{Kind: "drop"}) // in doubt, and Daily has not acted
	phone := w.Place(sim.CallSpec{})
	w.Poll(storm.Soon, "the first request", func() string {
		if w.Sim.Faults().REST[0].Hits == 0 {
			return "none yet"
		}
		return ""
	})
	strikes(sim.Fault{Kind: "slow", Delay: sim.Duration(30 * time.Second), When: "after"})
	phone = w.Connected(phone)
	w.part("bot-scheduler").kill(syscall.SIGKILL)
	w.part("bot-scheduler").start()
	w.awaitReady()
	w.Expect(phone, "CallForwarded")
	w.Expect(phone, "CallConnected")
	if now, _ := w.Sim.Call(phone.ID); now.Legs != 1 || now.Forwards != 1 {
		t.Errorf("%d legs by %d forwards\n%s", now.Legs, now.Forwards, w.Told(phone))
	}
	if s := w.State(phone); s.Attempt(1).Repeats != 1 {
		t.Errorf("repeated %d times\n%s", s.Attempt(1).Repeats, w.Told(phone))
	}
	if err := w.Sim.SetFaults(sim.Faults{}); err != nil {
		t.Fatal(err)
	}
	w.HangUp(phone)
	w.cleared()
}
