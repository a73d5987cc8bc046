// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

const short = sim.Duration(300 * time.Millisecond)

// Invariants 1 and 9, without kills.
func TestOneCallIsOneCallWhateverHappensToItsWebhooks(t *testing.T) {
	const callers = 12
	for _, second := range []string{"404", "second-leg"} {
		t.Run("second forward: "+second, func(t *testing.T) {
			w := start(t, bot(callers), withSim(func(c *sim.Config) {
				c.SecondForward = second
				bad := sim.WebhookFaults{Duplicate: .5, DuplicateNewID: true, Delay: .3, DelayMax: short, Reorder: .3, ReorderWithin: short}
				c.Faults.DialinWebhook, c.Faults.Events = bad, bad
			}))
			phones := make([]sim.Call, callers)
			for i := range phones {
				phones[i] = w.place(sim.CallSpec{From: caller, Talk: short, Webhook: sim.CallWebhook{Duplicates: 2, DuplicateAfter: short}})
			}
			for _, phone := range phones {
				phone = w.ended(phone)
				s := w.cleared(phone)
				if phone.Legs != 1 || len(phone.Rooms) != 1 || phone.Why != "hung-up" {
					t.Errorf("the caller had %d legs in %v and ended because of %s", phone.Legs, phone.Rooms, phone.Why)
				}
				if s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || len(s.Attempts) != 1 || phone.Forwards != 1 {
					t.Errorf("%s after %d attempts and %d forwards", s.Ended.Data, len(s.Attempts), phone.Forwards)
				}
			}
			w.idle()
			if stats := w.Sim.Stats(); stats.Calls[sim.Ended] != callers || stats.Bots.MaxLive > callers || stats.RoomsInUse != 0 {
				t.Errorf("the simulator counts %+v", stats)
			}
		})
	}
}

// Invariant 4: however a call goes, it ends, and says why.
func TestEveryCallEnds(t *testing.T) {
	budget := withRoute(func(r *config.Route) { r.AnswerBudget = 4 * time.Second })
	early := func(a config.Agent) config.Agent { a.ReadyTimeout = time.Second; return a }
	for name, c := range map[string]struct {
		agent   config.Agent
		change  []func(*stack.Options)
		spec    sim.CallSpec
		outcome callv1.Outcome
		reason  string
		why     string
	}{
		"the caller hangs up": {
			bot(1), nil, sim.CallSpec{From: caller, Talk: short}, callv1.Outcome_OUTCOME_COMPLETED, "caller_hung_up", "hung-up",
		},
		"the bot leaves": {
			bot(1, "--leave-after=500ms"), nil, sim.CallSpec{From: caller}, callv1.Outcome_OUTCOME_COMPLETED, "bot_ended", "ejected",
		},
		"no bot can be started": {
			config.Agent{Backend: "process", Command: []string{"/nowhere/bot"}, Slots: 1, ReadyTimeout: time.Second, KillGrace: time.Second, Lease: 5 * time.Second},
			[]func(*stack.Options){budget},
			sim.CallSpec{From: caller, Hold: sim.Duration(6 * time.Second)},
			callv1.Outcome_OUTCOME_MISSED, "no_bot", "gave-up",
		},
		"the bots never join": {
			early(bot(2, "--never-join")),
			[]func(*stack.Options){budget},
			sim.CallSpec{From: caller, Hold: sim.Duration(6 * time.Second)},
			callv1.Outcome_OUTCOME_MISSED, "no_bot", "gave-up",
		},
		"the caller gives up before the bot is there": {
			bot(1, "--join-delay=1500ms"), nil, sim.CallSpec{From: caller, Hold: short}, callv1.Outcome_OUTCOME_ABANDONED, "caller_gone", "gave-up",
		},
		"the call takes too long": {
			bot(1),
			[]func(*stack.Options){withRoute(func(r *config.Route) { r.MaxDuration = time.Second })},
			sim.CallSpec{From: caller},
			callv1.Outcome_OUTCOME_COMPLETED, "max_duration", "ejected",
		},
		"the bot leaves, and Daily tells nothing": {
			bot(1, "--leave-after=500ms"),
			[]func(*stack.Options){func(o *stack.Options) { o.NoDomainWebhook = true }},
			sim.CallSpec{From: caller},
			callv1.Outcome_OUTCOME_COMPLETED, "bot_ended", "room-deleted",
		},
		"the caller hangs up, and Daily tells nothing": {
			bot(1),
			[]func(*stack.Options){func(o *stack.Options) { o.NoDomainWebhook = true }},
			sim.CallSpec{From: caller, Talk: short},
			callv1.Outcome_OUTCOME_COMPLETED, "bot_ended", "hung-up",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c.agent, c.change...)
			phone := w.place(c.spec)
			s := w.cleared(phone)
			phone = w.ended(phone)
			if got := s.Ended.Data; got.GetOutcome() != c.outcome || got.GetReason() != c.reason {
				t.Errorf("ended with %s, want %s, %s\n%s", got, c.outcome, c.reason, w.told(phone))
			}
			if phone.Why != c.why || phone.Legs > 1 {
				t.Errorf("the phone ended because of %s with %d legs, want %s", phone.Why, phone.Legs, c.why)
			}
			w.idle()
		})
	}
}

// Bots that misbehave: the caller gets another.
func TestACallerOfABadBotGetsAGoodOne(t *testing.T) {
	for name, c := range map[string]struct {
		agent    config.Agent
		attempts int
	}{
		"dies before it is ready": {bot(2, "--die-before-ready-attempts=1"), 2},
		"joins and never asks":    {bot(2, "--never-ask"), 1}, // Daily's dialin.ready asks for it
		"asks twice":              {bot(2, "--ask-twice"), 1},
		"ignores SIGTERM":         {bot(2, "--ignore-sigterm"), 1},
		"leaves a child":          {bot(2, "--leave-child"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c.agent)
			phone := w.ended(w.connected(w.place(sim.CallSpec{From: caller, Talk: short})))
			s := w.cleared(phone)
			if phone.Legs != 1 || phone.Why != "hung-up" || len(s.Attempts) != c.attempts {
				t.Errorf("%d legs, %s, %d attempts\n%s", phone.Legs, phone.Why, len(s.Attempts), w.told(phone))
			}
			if strings.Contains(w.logs.String(), "refused a bot") {
				t.Error("a bot that only asked for its own caller was refused")
			}
			w.idle()
		})
	}
}

func TestABotThatDiesInTheCallIsReplacedInTheSameRoom(t *testing.T) {
	for name, c := range map[string]struct {
		told func(*stack.Options)
		lose float64 // of what Daily tells, once the first bot has the caller
	}{
		"Daily tells":                  {func(*stack.Options) {}, 0},
		"Daily tells nothing":          {noDomainWebhook, 0},
		"what Daily tells is all lost": {func(*stack.Options) {}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := bot(2, "--die-after=500ms")
			agent.ReadyTimeout = 4 * time.Second // presence shows by then who has joined
			w := start(t, agent, settlesWithin(3*time.Second), c.told)
			phone := w.connected(w.place(sim.CallSpec{From: caller}))
			if err := w.Sim.SetFaults(sim.Faults{Events: sim.WebhookFaults{Lose: c.lose}}); err != nil {
				t.Fatal(err)
			}
			w.expect(phone, "BotReady.2")
			if err := w.Sim.SetFaults(sim.Faults{}); err != nil {
				t.Fatal(err)
			}
			if err := w.Sim.Hangup(phone.ID); err != nil {
				t.Fatal(err)
			}
			s := w.cleared(phone)
			if s.Attempt(2).Place != callv1.Place_PLACE_SAME_ROOM || s.Attempt(2).Room.GetRoom() != s.Attempt(1).Room.GetRoom() || s.Attempt(2).Failed != nil {
				t.Errorf("attempt 2: %s, %s\n%s", s.Attempt(2).Place, s.Attempt(2).Room, w.told(phone))
			}
			if phone = w.ended(phone); phone.Legs != 1 || phone.Why != "hung-up" {
				t.Errorf("%d legs, ended because of %s", phone.Legs, phone.Why)
			}
		})
	}
}

// Invariant 5, and the line of those who wait.
func TestWhoCameFirstIsServedFirstAndTheCapHolds(t *testing.T) {
	const callers = 20
	for name, slots := range map[string]int{"one slot": 1, "three slots": 3} {
		t.Run(name, func(t *testing.T) {
			w := start(t, bot(slots))
			phones := make([]sim.Call, callers)
			for i := range phones {
				phones[i] = w.place(sim.CallSpec{From: caller, Talk: 1})
				w.expect(phones[i], "RoomReady.1")
			}
			for i, phone := range phones {
				phones[i] = w.ended(phone)
				if phones[i].Legs != 1 {
					t.Fatalf("caller %d was not served: %s", i, phones[i].Why)
				}
			}
			inOrder := slices.IsSortedFunc(phones, func(a, b sim.Call) int { return a.ForwardedAt.Compare(*b.ForwardedAt) })
			if slots == 1 && !inOrder {
				t.Error("somebody was served before his turn")
			}
			w.idle()
			if live := w.Sim.Stats().Bots.MaxLive; live > slots {
				t.Errorf("%d bots were in rooms at once, with %d slots", live, slots)
			}
		})
	}
}
