// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// told waits for the end of a dial and lists what the bot was told of it, without the dialout-.
func (c *client) told(end string) []string {
	c.t.Helper()
	var names []string
	for e := range c.events {
		name := e["event"].(string)
		if what, ok := strings.CutPrefix(name, "dialout-"); ok {
			names = append(names, what)
		}
		if name == end {
			return names
		}
	}
	c.t.Fatalf("no %s after %v", end, names)
	return nil
}

func TestWhatACalledPhoneDoes(t *testing.T) {
	for phrase, c := range map[string]struct {
		behaviour sim.Behaviour
		setting   string // dialout.unanswered
		end       string // the last event
		told      string
		why       string
	}{
		"answers and hangs up":                   {sim.Behaviour{Talk: ms(1)}, "", "stopped", "connected answered stopped", "hung-up"},
		"a machine answers":                      {sim.Behaviour{Does: "voicemail", Talk: ms(1)}, "", "stopped", "connected answered stopped", "hung-up"},
		"nobody answers":                         {sim.Behaviour{Does: "no-answer", After: ms(1)}, "", "stopped", "connected stopped", "no-answer"},
		"declines":                               {sim.Behaviour{Does: "reject"}, "", "stopped", "connected stopped", "rejected"},
		"is busy":                                {sim.Behaviour{Does: "busy"}, "", "stopped", "stopped", "busy"},
		"is busy, told as an error":              {sim.Behaviour{Does: "busy"}, "error", "error", "error", "busy"},
		"is busy, told as both":                  {sim.Behaviour{Does: "busy"}, "error-then-stopped", "stopped", "error stopped", "busy"},
		"declines, told by its own setting":      {sim.Behaviour{Does: "reject", Ends: "error"}, "", "error", "connected error", "rejected"},
		"has no such number":                     {sim.Behaviour{Does: "invalid"}, "", "error", "error", "invalid-number"},
		"some error":                             {sim.Behaviour{Does: "error", Ends: "error-then-stopped"}, "", "stopped", "error stopped", "error"},
		"a warning on the way":                   {sim.Behaviour{Warning: "poor line", Talk: ms(1)}, "", "stopped", "connected warning answered stopped", "hung-up"},
		"answers too late for the ring time-out": {sim.Behaviour{After: sim.Duration(1 << 50)}, "", "stopped", "connected stopped", "no-answer"},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, func(cfg *sim.Config) {
				cfg.Dialout.RingTimeout = ms(500)
				if c.setting != "" {
					cfg.Dialout.Unanswered = c.setting
				}
			})
			bot := w.dialRoom("r", nil)
			w.does(callee, c.behaviour)
			id := w.dial("r", object{"phoneNumber": callee})
			if told := strings.Join(bot.told("dialout-"+c.end), " "); told != c.told {
				t.Errorf("told %s, want %s", told, c.told)
			}
			d := w.is(id, "ended")
			if d["why"] != c.why || (d["machine"] == true) != (c.behaviour.Does == "voicemail") {
				t.Errorf("dial %v", d)
			}
			for what := range strings.SplitSeq(c.told, " ") {
				if p := w.hook.event("dialout." + what).payload(); p["session_id"] != id || p["cause"] != nil {
					t.Errorf("dialout.%s %v", what, p)
				}
			}
			if legs := w.Stats().Legs; legs != 0 {
				t.Errorf("%d legs", legs)
			}
		})
	}
}

func TestFailedDialTellsNoCauseUnlessAskedTo(t *testing.T) {
	for phrase, c := range map[string]struct {
		domain    bool
		behaviour sim.Behaviour
		cause     any
		text      string
	}{
		"Daily's way":              {false, sim.Behaviour{Does: "busy"}, nil, ""},
		"a text of the test's own": {false, sim.Behaviour{Does: "busy", Text: "486 Busy Here"}, nil, "486 Busy Here"},
		"busy, by name":            {false, sim.Behaviour{Does: "busy", NamesCause: true}, "busy", "busy"},
		"no answer, by name":       {true, sim.Behaviour{Does: "no-answer", After: ms(1)}, "no-answer", "no answer"},
		"declined, by name":        {true, sim.Behaviour{Does: "reject"}, "rejected", "rejected"},
		"invalid, by name":         {true, sim.Behaviour{Does: "invalid"}, "invalid-number", "invalid number"},
		"by name and with a text":  {true, sim.Behaviour{Does: "error", Text: "no workers"}, "error", "no workers"},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, func(cfg *sim.Config) { cfg.Dialout.NamesCause = c.domain })
			bot := w.dialRoom("r", nil)
			c.behaviour.Ends = "error-then-stopped"
			w.does(callee, c.behaviour)
			id := w.dial("r", object{"phoneNumber": callee, "userId": "u"})
			e := bot.wait("dialout-error")
			if e["errorMsg"] != c.text || e["message"] != c.text || e["cause"] != c.cause || e["userId"] != "u" ||
				e["details"].(object)["destination"] != callee {
				t.Errorf("dialout-error %v", e)
			}
			if s := bot.wait("dialout-stopped"); s["cause"] != c.cause {
				t.Errorf("dialout-stopped %v", s)
			}
			p := w.hook.event("dialout.error").payload()
			if p["error_msg"] != c.text || p["cause"] != c.cause || p["session_id"] != id || p["destination"] != nil {
				t.Errorf("dialout.error %v", p)
			}
			if p := w.hook.event("dialout.stopped").payload(); p["cause"] != c.cause || p["error_msg"] != nil {
				t.Errorf("dialout.stopped %v", p)
			}
		})
	}
}

func TestStartThatIsToFailCallsNobody(t *testing.T) {
	w := start(t)
	w.dialRoom("r", nil)
	w.does(callee, sim.Behaviour{Does: "start-error", Status: 403, Text: "dial-out is off today"}, sim.Behaviour{})
	status, answer := w.rest("POST", "/rooms/r/dialOut/start", object{"phoneNumber": callee})
	if status != 403 || answer["error"] != "forbidden-error" || answer["info"] != "dial-out is off today" {
		t.Fatalf("%d %v", status, answer)
	}
	if n := w.Stats().Dialled[callee]; n != 0 {
		t.Fatalf("called %d times", n)
	}
	w.is(w.dial("r", object{"phoneNumber": callee}), "answered") // the next start counts
}

func TestSuccessiveDialsToTheSameNumber(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Lifted = true })
	w.dialRoom("r", nil)
	w.control(200, "PUT", "/sim/callees", object{"callees": []object{
		{"number": callee, "dials": []object{{"does": "busy"}, {"does": "reject"}, {"talk": "1ms"}}},
		{"number": "*0199", "dials": []object{{"does": "no-answer", "after": "1ms"}, {"does": "voicemail", "talk": "1ms"}}},
		{"number": "sip:*@closed.example", "dials": []object{{"does": "invalid"}}},
	}})
	whys := func(target object, n int) (list []string) {
		for range n {
			list = append(list, w.is(w.dial("r", target), "ended")["why"].(string))
		}
		return list
	}
	for phrase, c := range map[string]struct {
		target object
		want   []string
	}{
		"a queue, whose last one stays":  {object{"phoneNumber": callee}, []string{"busy", "rejected", "hung-up", "hung-up"}},
		"a pattern":                      {object{"phoneNumber": "+15550000199"}, []string{"no-answer", "hung-up"}},
		"a pattern, for another of them": {object{"phoneNumber": "+15551110199"}, []string{"no-answer", "hung-up"}},
		"a pattern of SIP URIs":          {object{"sipUri": "sip:ann@closed.example;transport=tls?X-A=b"}, []string{"invalid-number"}},
	} {
		if got := whys(c.target, len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", phrase, got, c.want)
		}
	}
	now := w.control(200, "GET", "/sim/callees", nil)
	counts := now["callees"].([]any)
	if counts[0].(object)["dialled"] != 4.0 || counts[1].(object)["dialled"] != 4.0 {
		t.Errorf("callees %v", counts)
	}
	if st := w.control(200, "GET", "/sim/stats", nil); st["dialled"].(object)["+15550000199"] != 2.0 || st["dials"].(object)["ended"] != 9.0 {
		t.Errorf("stats %v", st)
	}
	w.control(200, "PUT", "/sim/callees", now) // what is told can be set, and begins anew
	w.does("+15550000199", sim.Behaviour{Does: "reject"})
	if got := whys(object{"phoneNumber": "+15550000199"}, 1); got[0] != "rejected" {
		t.Errorf("one number before its pattern: %v", got)
	}
	if got := whys(object{"phoneNumber": callee}, 1); got[0] != "busy" {
		t.Errorf("set anew: %v", got)
	}
	w.control(200, "PUT", "/sim/callees", `{}`)
	w.is(w.dial("r", object{"phoneNumber": callee}), "answered")
}

func TestCalleesFromTheSettings(t *testing.T) {
	w := start(t, func(c *sim.Config) {
		c.Dialout.Callees = []sim.Callee{{Number: "*0199", Dials: []sim.Behaviour{{Does: "no-answer", After: ms(1)}}}}
	})
	w.dialRoom("r", nil)
	if d := w.is(w.dial("r", object{"phoneNumber": "+15550000199"}), "ended"); d["why"] != "no-answer" || d["does"] != "no-answer" {
		t.Fatalf("dial %v", d)
	}
}

func TestPhoneThatIsAnsweredOrDeclinedByHand(t *testing.T) {
	w := start(t)
	bot := w.dialRoom("r", nil)
	w.does("*", sim.Behaviour{Does: "no-answer"})
	one, two := w.dial("r", object{"phoneNumber": callee}), w.dial("r", object{"phoneNumber": "+15553334444"})
	w.control(200, "POST", "/sim/dials/"+one+"/answer", nil)
	w.control(200, "POST", "/sim/dials/"+one+"/answer", nil) // once more is no error
	if e := bot.wait("dialout-answered"); e["sessionId"] != one {
		t.Fatalf("answered %v", e)
	}
	if d := w.control(200, "POST", "/sim/dials/"+two+"/hangup", nil); d["why"] != "rejected" {
		t.Fatalf("dial %v", d)
	}
	w.control(400, "POST", "/sim/dials/"+two+"/answer", nil)
	w.control(200, "POST", "/sim/dials/"+two+"/hangup", nil)
	w.control(404, "POST", "/sim/dials/nobody/answer", nil)
	w.control(404, "GET", "/sim/dials/nobody", nil)
	w.control(404, "GET", "/sim/dials/nobody?wait=ended", nil)
	w.control(400, "GET", "/sim/dials/"+one+"?wait=soon", nil)
	if e := w.control(408, "GET", "/sim/dials/"+one+"?wait=ended&timeout=1ms", nil); e["info"] != "the dial is answered" {
		t.Fatalf("answer %v", e)
	}
	for query, n := range map[string]float64{"state=answered": 1, "state=ended": 1, "room=r": 2, "room=x": 0, "to=%2B15553334444": 1} {
		if l := w.control(200, "GET", "/sim/dials?"+query, nil); l["total"] != n {
			t.Errorf("%s: %v", query, l)
		}
	}
}

func TestLegIsAParticipantFromTheFirstRingOrFromTheAnswer(t *testing.T) {
	for setting, order := range map[string][]string{
		"connected": {"participant-joined", "dialout-connected", "dialout-answered"},
		"answered":  {"dialout-connected", "participant-joined", "dialout-answered"},
	} {
		t.Run(setting, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.Dialout.Joins = setting })
			bot := w.dialRoom("r", nil)
			w.dial("r", object{"phoneNumber": callee})
			var got []string
			for len(got) < 3 {
				if name := (<-bot.events)["event"].(string); slices.Contains(order, name) {
					got = append(got, name)
				}
			}
			if !slices.Equal(got, order) {
				t.Fatalf("told %v", got)
			}
		})
	}
}

func TestBadCalleesNameTheField(t *testing.T) {
	w := start(t)
	for body, field := range map[string]string{
		`{"callees":[{"dials":[{}]}]}`:                                            "callees[0].number",
		`{"callees":[{"number":"["}]}`:                                            "callees[0].number",
		`{"callees":[{"number":"+1"}]}`:                                           "callees[0].dials",
		`{"callees":[{"number":"+1","dials":[{}]},{"number":"+1","dials":[{}]}]}`: "callees[1].number",
		`{"callees":[{"number":"+1","dials":[{"does":"sleep"}]}]}`:                "callees[0].dials[0].does",
		`{"callees":[{"number":"+1","dials":[{},{"ends":"never"}]}]}`:             "callees[0].dials[1].ends",
		`{"callees":[{"number":"+1","dials":[{"status":200}]}]}`:                  "callees[0].dials[0].status",
		`{"callees":[{"number":"+1","dials":[{"talk":"long"}]}]}`:                 "callees",
		`{"callees":[{"number":"+1","dialls":[]}]}`:                               "dialls",
	} {
		answer := w.control(400, "PUT", "/sim/callees", body)
		if info, _ := answer["info"].(string); !strings.Contains(info, field) {
			t.Errorf("%s: %v", body, answer)
		}
	}
	if answer := w.control(400, "PUT", "/sim/callees/+1555", `{"dials":[{"does":"sleep"}]}`); !strings.HasPrefix(answer["info"].(string), "dials[0].does") {
		t.Errorf("answer %v", answer)
	}
}

func TestOldDialsAreForgottenButCounted(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.History, c.Budgets.Lifted = 3, true })
	w.dialRoom("r", nil)
	w.does(callee, sim.Behaviour{Does: "busy"})
	for range 12 {
		w.is(w.dial("r", object{"phoneNumber": callee}), "ended")
	}
	if n := len(w.Dials()); n > 6 {
		t.Errorf("%d dials are kept", n)
	}
	if n := w.Stats().Dialled[callee]; n != 12 {
		t.Errorf("counted %d", n)
	}
}
