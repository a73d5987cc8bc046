// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/job"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// beat is one heartbeat in the bot's name.
func (w *world) beat(body job.Body) {
	w.t.Helper()
	if status, word := w.ask(body.Trunkline.Token, "heartbeat", struct{}{}); status != 200 {
		w.t.Fatalf("heartbeat: %d %s", status, word)
	}
}

// A bot that hangs lives as far as its keeper can tell. It is replaced in its room, and although it heeds no SIGTERM it is
// not there for long.
func TestABotWhoseHeartStopsIsReplacedInItsRoom(t *testing.T) {
	dir := t.TempDir()
	agent := bot(4)
	agent.Command = []string{"/bin/sh", "-c", `cat > "$0/part-$1" && mv "$0/part-$1" "$0/$1" && exec "$2" sim bot --ignore-sigterm --outstay < "$0/$1"`, dir, "{{.CallID}}-{{.Attempt}}", "{{.Self}}"}
	agent.Heartbeat, agent.KillGrace = 2*time.Second, 10*time.Second
	w := start(t, agent)
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "CallConnected")
	silent := w.connected(w.place(sim.CallSpec{From: "+14155550124"})) // its bot knows of no heartbeats
	w.beat(w.job(dir, phone, 1).Body)

	failed := w.expect(phone, "BotFailed.1")
	if m := failed.Data.(*callv1.BotFailed); m.GetReason() != "heartbeat missed" {
		t.Errorf("given up: %v", m)
	}
	w.expect(phone, "BotReady.2")
	var left time.Duration
	w.poll("the bot to leave the room", func() bool {
		story, err := w.bus.Story(t.Context(), w.id(phone))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range story.Events {
			if m, ok := e.Data.(*callv1.ParticipantLeft); ok && m.GetUserId() == call.BotID(w.id(phone), 1) {
				left = e.Time.Sub(failed.Time)
				return true
			}
		}
		return false
	})
	if left > 2*time.Second {
		t.Errorf("it was in the caller's room for %s", left)
	}
	for _, p := range []sim.Call{phone, silent} {
		if err := w.Sim.Hangup(p.ID); err != nil {
			t.Fatal(err)
		}
		if p = w.ended(p); p.Legs != 1 || len(p.Rooms) != 1 {
			t.Errorf("%d legs in %v", p.Legs, p.Rooms)
		}
	}
	if n := w.attempts(silent); n != 1 {
		t.Errorf("%d attempts for a bot without heartbeats", n)
	}
}

// What waits for a heartbeat outlives the scheduler, and does not count the time in which nobody could hear one.
func TestAMissedHeartbeatIsNoticedByTheNextScheduler(t *testing.T) {
	const within = 3 * time.Second
	everywhere(t, nil, func(t *testing.T, w *world, p place) {
		if p.agent.Backend != config.Runner {
			t.Skip("the same for all")
		}
		begin := w.schedulers()
		end := begin()
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		w.expect(phone, "BotStarted.1")
		var body job.Body
		if err := json.Unmarshal(p.hall.Started()[0].Body, &body); err != nil {
			t.Fatal(err)
		}
		w.URLs["gateway"] = body.DailyAPIURL[:len(body.DailyAPIURL)-len("/v1")]
		w.beat(body)
		beat := time.Now()
		end()
		w.poll("the heartbeat to be missed", func() bool { return time.Since(beat) > within })
		again := time.Now()
		begin()
		failed := w.expectLong(phone, "BotFailed.1")
		if m := failed.Data.(*callv1.BotFailed); m.GetReason() != "heartbeat missed" || failed.Time.Sub(again) < within {
			t.Errorf("%v after %s", m, failed.Time.Sub(again))
		}
		w.expectLong(phone, "BotReady.2")
	}, noScheduler, func(o *stack.Options) {
		a := o.Config.Agents["agent"]
		a.Heartbeat = within
		o.Config.Agents["agent"] = a
	})
}
