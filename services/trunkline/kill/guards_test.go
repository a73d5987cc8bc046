// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// A test that cannot fail proves nothing: with any one guard broken, the promise does not hold, and it is seen.
func TestEveryGuardIsMissedWhenItIsBroken(t *testing.T) {
	for _, broken := range []guard.Guard{"", guard.Look, guard.Decision, guard.Intent, guard.Fence} {
		name := string(broken)
		if broken == "" {
			name = "none"
		}
		t.Run(name, func(t *testing.T) {
			// Calls outlast leases, bots outstay their callers, and no janitor clears up behind them.
			w := newWorld(t, options{
				slots: 8, flags: ", --outstay", agent: "lease: 3s, kill_grace: 1s, linger: 500ms", daily: ", janitor_interval: 5m, presence_settle: 10m",
				broken: broken, sim: func(c *sim.Config) {
					storm.BadDay("404", 1)(c)
					c.Faults.Events.Lose = 0 // a hang-up that nobody tells of is the janitor's to find
				},
			})
			if broken != "" {
				w.Patience = 15 * time.Second // it fails sooner or later: sooner
			}
			phones, _ := w.storm(rand.New(rand.NewSource(1)), 24, 1, 10*time.Second, 30*time.Second, 5*time.Second)
			wrong := w.Check(phones)
			if len(wrong) == 0 {
				wrong = w.again()
			}
			switch {
			case broken == "" && len(wrong) > 0:
				t.Error(strings.Join(wrong, "\n"))
			case broken != "" && len(wrong) == 0:
				t.Errorf("the %s is broken, and nobody misses it", broken)
			case broken != "":
				t.Logf("missed: %.200s", wrong[0])
			}
		})
	}
}

// again has every event delivered once more, as it may be after a crash of the broker, and gives what was done about
// calls that are over.
func (w *world) again() (wrong []string) {
	w.T.Helper()
	for _, p := range w.parts[1:] {
		p.kill(9)
	}
	for _, needs := range stack.Needs() {
		if len(needs.Events) == 0 {
			continue
		}
		if err := w.JS.DeleteConsumer(w.T.Context(), bus.Stream, needs.Service); err != nil {
			w.T.Fatal(err)
		}
	}
	if err := bus.Setup(w.T.Context(), w.JS, bus.Settings{Replicas: 1, MaxAge: 24 * time.Hour}, func(string) {}, stack.Needs()...); err != nil {
		w.T.Fatal(err)
	}
	before := requests(w.Sim)
	for _, p := range w.parts[1:] {
		p.start()
	}
	w.Poll(time.Minute, "everything to be delivered again", func() string {
		for _, needs := range stack.Needs() {
			if len(needs.Events) == 0 {
				continue
			}
			cons, err := w.JS.Consumer(w.T.Context(), bus.Stream, needs.Service)
			if err != nil {
				return err.Error()
			}
			if info := cons.CachedInfo(); info.NumPending+uint64(info.NumAckPending) > 0 {
				return needs.Service
			}
		}
		return ""
	})
	for request, n := range requests(w.Sim) {
		if n != before[request] {
			wrong = append(wrong, fmt.Sprintf("%s was asked %d times for calls that are over", request, n-before[request]))
		}
	}
	return wrong
}

// requests counts what Daily was asked, but for the looks of the janitor and of the webhook's keeper.
func requests(s *sim.Sim) map[string]int {
	counts := map[string]int{}
	for request, byStatus := range s.Stats().Requests {
		switch request {
		case "GET /presence", "GET /", "GET /webhooks":
			continue
		}
		for _, n := range byStatus {
			counts[request] += n
		}
	}
	return counts
}
