// SPDX-License-Identifier: Apache-2.0

package simbot_test

import (
	"testing"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

const operator = "+15553334444"

// dial calls somebody into the bot's room, and waits for the answer.
func (w *world) dial(number string) (id string) {
	w.t.Helper()
	id = w.post("/v1/rooms/call-1/dialOut/start", object{"phoneNumber": number})["sessionId"].(string)
	w.until("the answer", func() bool {
		d, _ := w.Dial(id)
		return d.State == sim.Answered
	})
	return id
}

// stopped lets a called person hang up.
func (w *world) stopped(id string) {
	w.t.Helper()
	if err := w.HangupDial(id); err != nil {
		w.t.Fatal(err)
	}
}

func TestBotOutlivesEverybodyButItsOwnPhone(t *testing.T) {
	resumed := func(body object) {
		delete(body, "dialin_settings")
		body["trunkline"] = object{"attempt": 2, "resumed": true}
	}
	for phrase, c := range map[string]struct {
		body func(object)
		come func(w *world) // before the bot
		own  func(w *world) (end func())
	}{
		"a bot with a caller": {nil, nil, func(w *world) func() {
			w.untilCall(sim.Connected)
			return func() { _ = w.Hangup(w.call.ID) }
		}},
		"a bot that has called": {out(object{"phone_number": callee}), nil, func(w *world) func() {
			dials := w.untilDials("the answer", func(d []sim.Dial) bool { return len(d) > 0 && d[0].State == sim.Answered })
			return func() { _ = w.HangupDial(dials[0].ID) }
		}},
		"a bot for whom somebody else has called": {out(nil), nil, func(w *world) func() {
			id := w.dial(callee)
			return func() { _ = w.HangupDial(id) }
		}},
		"a bot that takes over": {resumed, func(w *world) {
			w.post("/v1/rooms/call-1", object{"properties": object{"dialout_config": object{"allow_room_start": true}}})
			w.dial(callee)
		}, func(w *world) func() { return func() { _ = w.HangupDial(w.Dials()[0].ID) } }},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := startOut(t)
			if c.come != nil {
				c.come(w)
			}
			exit, _ := w.bot(w.job(c.body))
			w.untilLive(1)
			end := c.own(w)
			for range 2 { // operators come and go
				w.stopped(w.dial(operator))
			}
			last := w.dial(operator)
			if w.Stats().Bots.Live != 1 {
				t.Fatal("the bot has left")
			}
			end()
			w.exits(exit, 0)
			w.stopped(last)
		})
	}
}

func TestBotThatCallsAgainLeavesWithWhomItReached(t *testing.T) {
	w := startOut(t, sim.Callee{Number: callee, Dials: []sim.Behaviour{{Does: "busy", Ends: "error"}, {}}})
	exit, _ := w.bot(w.job(out(nil))) // somebody else calls, and calls again
	w.untilLive(1)
	w.post("/v1/rooms/call-1/dialOut/start", object{"phoneNumber": callee})
	w.untilDials("the error", func(d []sim.Dial) bool { return d[0].State == sim.Ended })
	id := w.dial(callee)
	w.stopped(w.dial(operator))
	w.stopped(w.dial(operator))
	if w.Stats().Bots.Live != 1 {
		t.Fatal("the bot has left")
	}
	w.stopped(id)
	w.exits(exit, 0)
}
