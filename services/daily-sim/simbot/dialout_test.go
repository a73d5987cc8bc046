// SPDX-License-Identifier: Apache-2.0

package simbot_test

import (
	"testing"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/daily-sim/simbot"
)

const callee = "+15551112222"

// out makes a job's body one of a bot that calls, with settings; nil is a bot for whom somebody else calls.
func out(settings any) func(object) {
	return func(body object) {
		delete(body, "dialin_settings")
		if settings != nil {
			body["dialout_settings"] = settings
		}
	}
}

// startOut runs a simulator whose room has dial-out, with phones that do as told.
func startOut(t *testing.T, callees ...sim.Callee) *world {
	t.Helper()
	w := start(t, sim.CallSpec{})
	w.post("/v1/rooms/call-1", object{"properties": object{"enable_dialout": true}})
	if err := w.SetCallees(callees...); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) untilDials(what string, cond func([]sim.Dial) bool) []sim.Dial {
	w.t.Helper()
	w.until(what, func() bool { return cond(w.Dials()) })
	return w.Dials()
}

func TestBotCallsAsItsBodySays(t *testing.T) {
	for phrase, c := range map[string]struct {
		settings any
		to       string
		asked    object
	}{
		"Pipecat Cloud's list": {[]object{{"phoneNumber": callee}}, callee, object{"phoneNumber": callee}},
		"the examples' object": {object{"phone_number": callee, "caller_id": nil}, callee, object{"phoneNumber": callee, "displayName": callee}},
		"a SIP URI in a list":  {[]object{{"sipUri": "sip:a@b"}}, "sip:a@b", object{"sipUri": "sip:a@b"}},
		"a SIP URI in an object": {
			object{"sip_uri": "sip:a@b", "provider": "daily"}, "sip:a@b", object{"sipUri": "sip:a@b", "provider": "daily"},
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := startOut(t)
			exit, _ := w.bot(w.job(out(c.settings)))
			dials := w.untilDials("the answer", func(d []sim.Dial) bool { return len(d) > 0 && d[0].State == sim.Answered })
			d := dials[0]
			if len(dials) != 1 || d.To != c.to || d.By != "bot" || len(d.Asked) != len(c.asked) {
				t.Fatalf("dials %+v", dials)
			}
			for k, v := range c.asked {
				if d.Asked[k] != v {
					t.Errorf("asked for %v", d.Asked)
				}
			}
			if err := w.HangupDial(d.ID); err != nil {
				t.Fatal(err)
			}
			w.exits(exit, 0)
		})
	}
}

func TestBotWithoutSettingsOrResumedDoesNotCall(t *testing.T) {
	for phrase, change := range map[string]func(object){
		"a bot for whom somebody else calls": out(nil),
		"null":                               func(body object) { body["dialout_settings"] = nil },
		"an empty list":                      out([]object{}),
		"marked as resumed": func(body object) {
			out([]object{{"phoneNumber": callee}})(body)
			body["trunkline"] = object{"attempt": 2, "resumed": true}
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := startOut(t)
			exit, stop := w.bot(w.job(change), "--leave-after", "100ms")
			w.exits(exit, 0)
			stop()
			if dials := w.Dials(); len(dials) != 0 {
				t.Fatalf("dials %+v", dials)
			}
		})
	}
}

func TestBotDialsAgainAfterErrorsOnlyAndFiveTimesInAll(t *testing.T) {
	failing := sim.Behaviour{Does: "busy", Ends: "error"}
	for phrase, c := range map[string]struct {
		dials []sim.Behaviour
		want  int
	}{
		"answered at the third":           {[]sim.Behaviour{failing, failing, {Talk: 1}}, 3},
		"never":                           {[]sim.Behaviour{failing}, 5},
		"not answered, without any error": {[]sim.Behaviour{{Does: "reject"}, {}}, 1},
		"hung up":                         {[]sim.Behaviour{{Talk: 1}}, 1},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := startOut(t, sim.Callee{Number: callee, Dials: c.dials})
			exit, _ := w.bot(w.job(out(object{"phone_number": callee})))
			w.exits(exit, 0)
			if n := w.Stats().Dialled[callee]; n != c.want {
				t.Fatalf("dialled %d times", n)
			}
		})
	}
}

func TestBotWaitsOnWhenItsStartIsRefused(t *testing.T) {
	w := startOut(t, sim.Callee{Number: callee, Dials: []sim.Behaviour{{Does: "start-error"}, {}}})
	exit, stop := w.bot(w.job(out(object{"phone_number": callee})))
	w.until("the refusal", func() bool { return w.Callees()[0].Dialled == 1 })
	w.untilLive(1)
	stop()
	w.exits(exit, 0)
	if n := w.Stats().Dialled[callee]; n != 0 {
		t.Fatalf("dialled %d times", n)
	}
}

func TestBotForWhomSomebodyElseCallsEndsWithTheCall(t *testing.T) {
	w := startOut(t)
	exit, _ := w.bot(w.job(out(nil)))
	w.untilLive(1)
	id := w.post("/v1/rooms/call-1/dialOut/start", object{"phoneNumber": callee})["sessionId"].(string)
	w.untilDials("the answer", func(d []sim.Dial) bool { return d[0].State == sim.Answered })
	if err := w.HangupDial(id); err != nil {
		t.Fatal(err)
	}
	w.exits(exit, 0)
}

func TestBotWithACallerOutlivesACalledPerson(t *testing.T) {
	w := startOut(t)
	exit, _ := w.bot(w.job(nil))
	w.untilCall(sim.Connected)
	id := w.post("/v1/rooms/call-1/dialOut/start", object{"phoneNumber": callee})["sessionId"].(string)
	w.post("/v1/rooms/call-1/dialOut/stop", object{"sessionId": id})
	if bots := w.Stats().Bots; bots.Live != 1 {
		t.Fatalf("bots %+v", bots)
	}
	if err := w.Hangup(w.call.ID); err != nil {
		t.Fatal(err)
	}
	w.exits(exit, 0)
}

func TestBadDialoutSettingsExitWithTwo(t *testing.T) {
	for phrase, settings := range map[string]any{
		"a word": "call Ann", "nobody": object{}, "nobody in a list": []object{{"callerId": "x"}}, "a list of words": []string{"x"},
	} {
		w := startOut(t)
		if got := simbot.Main(t.Context(), w.job(out(settings)), nil); got != 2 {
			t.Errorf("%s: exit status %d", phrase, got)
		}
	}
}
