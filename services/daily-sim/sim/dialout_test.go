// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

const callee = "+15551112222"

// dialRoom is a room with dial-out and a bot in it.
func (w *world) dialRoom(name string, props object) *client {
	w.t.Helper()
	all := object{"enable_dialout": true}
	for k, v := range props {
		all[k] = v
	}
	url, _ := w.room(name, all)
	return w.bot(url)
}

// dial calls somebody into a room and returns the id of the leg.
func (w *world) dial(room string, body object) string {
	w.t.Helper()
	answer := w.want(200, "POST", "/rooms/"+room+"/dialOut/start", body)
	if answer["ok"] != true {
		w.t.Fatalf("start: %v", answer)
	}
	return answer["sessionId"].(string)
}

// is waits until a dial is in a state, over the control API.
func (w *world) is(id, state string) object {
	w.t.Helper()
	return w.control(200, "GET", "/sim/dials/"+id+"?wait="+state+"&timeout=20s", nil)
}

// does sets what a phone does at its successive dials.
func (w *world) does(number string, dials ...sim.Behaviour) {
	w.t.Helper()
	w.control(200, "PUT", "/sim/callees/"+number, object{"dials": dials})
}

func TestDialOutFromTheStartToTheHangup(t *testing.T) {
	w := start(t)
	bot := w.dialRoom("r", nil)
	id := w.dial("r", object{"phoneNumber": callee, "displayName": "Ann", "userId": "callee-1", "extension": "12", "waitBeforeExtensionDialSec": 2})

	bought := w.want(200, "GET", "/purchased-phone-numbers", nil)["data"].([]any)[0].(object)
	ringing := bot.wait("dialout-connected")
	if ringing["sessionId"] != id || ringing["userId"] != "callee-1" || ringing["destination"] != callee ||
		ringing["origin"] != bought["number"] || ringing["callerId"] != bought["id"] || ringing["sipCallId"] == nil || ringing["provider"] != "signalwire" {
		t.Fatalf("dialout-connected %v", ringing)
	}
	if answered := bot.wait("dialout-answered"); answered["sessionId"] != id {
		t.Fatalf("dialout-answered %v", answered)
	}
	if heard := bot.wait("sim-heard"); heard["who"] != "person" {
		t.Fatalf("heard %v", heard)
	}
	d := w.is(id, "answered")
	if d["to"] != callee || d["by"] != "rest" || d["room"] != "r" || d["asked"].(object)["extension"] != "12" || d["machine"] != nil {
		t.Fatalf("dial %v", d)
	}
	if people := w.want(200, "GET", "/meetings?room=r", nil)["data"].([]any)[0].(object)["participants"].([]any); len(people) != 2 {
		t.Fatalf("in the room are %v", people)
	}
	w.control(200, "POST", "/sim/dials/"+id+"/hangup", nil)
	if stopped := bot.wait("dialout-stopped"); stopped["sessionId"] != id {
		t.Fatalf("dialout-stopped %v", stopped)
	}
	if d := w.is(id, "ended"); d["why"] != "hung-up" || d["ended_at"] == nil {
		t.Fatalf("dial %v", d)
	}

	for _, kind := range []string{"connected", "answered", "stopped"} {
		e := w.hook.event("dialout." + kind)
		p := e.payload()
		if p["session_id"] != id || p["room"] != "r" || p["domain_id"] != sim.Defaults().DomainID || p["user_id"] != "callee-1" ||
			p["destination"] != callee || p["origin"] != bought["number"] || p["caller_id"] != bought["id"] || p["cause"] != nil {
			t.Errorf("dialout.%s %s", kind, e.body)
		}
		short := map[string]string{"connected": "con", "answered": "ans", "stopped": "stop"}[kind]
		if name := e.object["id"].(string); !strings.HasPrefix(name, "2868-dial-out-"+short+"-"+id) {
			t.Errorf("id %s", name)
		}
	}
	left := w.hook.event("participant.left").payload()
	if left["session_id"] != id || left["user_id"] != "callee-1" || left["user_name"] != "Ann" || left["owner"] != false {
		t.Errorf("participant.left %v", left)
	}
}

func TestSIPDialOut(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Numbers, c.Dialout.Approved = nil, false }) // neither is needed for SIP
	bot := w.dialRoom("r", nil)
	const uri = "sip:ann@office.example?X-Tenant=acme"
	id := w.dial("r", object{"sipUri": uri, "video": true, "codecs": object{"audio": []string{"OPUS"}, "video": []string{"VP8"}}, "provider": "daily"})
	joined := bot.wait("participant-joined")["participant"].(object)
	if joined["sessionId"] != id || joined["participantType"] != "sip-dial-out" || joined["userName"] != "sip:ann@office.example" {
		t.Fatalf("participant %v", joined)
	}
	ringing := bot.wait("dialout-connected")
	if ringing["destination"] != uri || ringing["provider"] != "daily" || ringing["callerId"] != nil {
		t.Fatalf("dialout-connected %v", ringing)
	}
	if d := w.is(id, "answered"); d["to"] != "sip:ann@office.example" {
		t.Fatalf("dial %v", d)
	}
}

func TestDialOutRefused(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Lifted = true })
	anyone := object{"allow_room_start": true}
	w.room("empty", object{"enable_dialout": true})
	w.room("starts", object{"enable_dialout": true, "dialout_config": anyone})
	w.room("refuses", object{"dialout_config": anyone})
	w.room("full", object{
		"enable_dialout": true, "dialout_config": anyone,
		"sip": object{"display_name": "x", "sip_mode": "dial-in", "num_endpoints": 5},
	})
	phone := func(more object) object {
		body := object{"phoneNumber": callee}
		for k, v := range more {
			body[k] = v
		}
		return body
	}
	for phrase, c := range map[string]struct {
		room   string
		body   object
		status int
		info   string
	}{
		"no such room":                {"nowhere", phone(nil), 404, "not found"},
		"empty room":                  {"empty", phone(nil), 404, "not hosting"},
		"dial-out not enabled":        {"refuses", phone(nil), 400, "dial-out not enabled for room. add enable_dialout property to room"},
		"abroad":                      {"starts", object{"phoneNumber": "+31201234567"}, 400, "International dialout not supported. Contact sales"},
		"five endpoints leave no leg": {"full", object{"sipUri": "sip:a@b"}, 400, "no SIP or PSTN session left"},
		"neither number nor URI":      {"starts", object{}, 400, "exactly one"},
		"both":                        {"starts", phone(object{"sipUri": "sip:a@b"}), 400, "exactly one"},
		"no E.164":                    {"starts", object{"phoneNumber": "5551112222"}, 400, "E.164"},
		"letters":                     {"starts", object{"phoneNumber": "+1555abc"}, 400, "E.164"},
		"no SIP URI":                  {"starts", object{"sipUri": "tel:5"}, 400, "'sip:'"},
		"an unknown caller id":        {"starts", phone(object{"callerId": number}), 400, "callerId"},
		"a long user id":              {"starts", phone(object{"userId": strings.Repeat("x", 37)}), 400, "userId"},
		"a long extension":            {"starts", phone(object{"extension": strings.Repeat("1", 21)}), 400, "extension"},
		"a long wait":                 {"starts", phone(object{"waitBeforeExtensionDialSec": 61}), 400, "waitBeforeExtensionDialSec"},
		"an unknown codec":            {"starts", phone(object{"codecs": object{"audio": []string{"MP3"}}}), 400, "MP3"},
		"video is no boolean":         {"starts", phone(object{"video": "yes"}), 400, "video"},
		"number is no string":         {"starts", object{"phoneNumber": 5}, 400, "phoneNumber"},
	} {
		status, answer := w.rest("POST", "/rooms/"+c.room+"/dialOut/start", c.body)
		if info, _ := answer["info"].(string); status != c.status || !strings.Contains(info, c.info) || answer["error"] == nil {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if l := w.control(200, "GET", "/sim/dials", nil); l["total"] != 0.0 {
		t.Errorf("somebody was called: %v", l)
	}
}

func TestWhatTheDomainMayDialIsSet(t *testing.T) {
	for phrase, c := range map[string]struct {
		change func(*sim.Config)
		body   object
		status int
		info   string
	}{
		"not approved":                    {func(c *sim.Config) { c.Dialout.Approved = false }, object{"phoneNumber": callee}, 400, "Contact support to enable it for your domain"},
		"no number to call from":          {func(c *sim.Config) { c.Numbers = nil }, object{"phoneNumber": callee}, 400, "no purchased phone number"},
		"all numbers tied to one webhook": {func(c *sim.Config) { c.Numbers[0].Number = "*" }, object{"phoneNumber": callee}, 200, ""},
		"abroad":                          {func(c *sim.Config) { c.Dialout.International = true }, object{"phoneNumber": "+31201234567"}, 200, ""},
		"client fields are taken":         {func(*sim.Config) {}, object{"sipUri": "sip:a@b", "provider": "daily", "permissions": object{}}, 200, ""},
		"client fields are refused":       {func(c *sim.Config) { c.Dialout.ClientFields = "refused" }, object{"sipUri": "sip:a@b", "provider": "daily"}, 400, "provider"},
		"a provider that there is not":    {func(*sim.Config) {}, object{"sipUri": "sip:a@b", "provider": "acme"}, 400, "provider"},
		"an invalid number is refused": {func(c *sim.Config) {
			c.Dialout.InvalidNumber = "refused"
			c.Dialout.Callees = []sim.Callee{phoneThat("invalid")}
		}, object{"phoneNumber": callee}, 400, ""},
		"an invalid number shows later":    {func(c *sim.Config) { c.Dialout.Callees = []sim.Callee{phoneThat("invalid")} }, object{"phoneNumber": callee}, 200, ""},
		"the start itself is to be broken": {func(c *sim.Config) { c.Dialout.Callees = []sim.Callee{phoneThat("start-error")} }, object{"phoneNumber": callee}, 400, ""},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, c.change)
			w.dialRoom("r", nil)
			status, answer := w.rest("POST", "/rooms/r/dialOut/start", c.body)
			if info, _ := answer["info"].(string); status != c.status || !strings.Contains(info, c.info) {
				t.Fatalf("%d %v", status, answer)
			}
			if n := len(w.Dials()); (n == 1) != (status == 200) {
				t.Errorf("%d dials", n)
			}
		})
	}
}

func phoneThat(does string) sim.Callee {
	return sim.Callee{Number: callee, Dials: []sim.Behaviour{{Does: does}}}
}

func TestCallerIDIsTheOldestNumberOrAnyOrTheOneAskedFor(t *testing.T) {
	two := func(c *sim.Config) {
		c.Numbers = append(c.Numbers, sim.Number{Number: "+15550100002", WebhookURL: c.Numbers[0].WebhookURL})
	}
	from := func(w *world, body object) any {
		return w.is(w.dial("r", body), "answered")["from"]
	}
	w := start(t, two)
	w.dialRoom("r", nil)
	second := w.want(200, "GET", "/purchased-phone-numbers?filter_number=%2B15550100002", nil)["data"].([]any)[0].(object)["id"]
	if got := from(w, object{"phoneNumber": callee}); got != number {
		t.Errorf("called from %v", got)
	}
	if got := from(w, object{"phoneNumber": callee, "callerId": second}); got != "+15550100002" {
		t.Errorf("called from %v", got)
	}
	w = start(t, two, func(c *sim.Config) { c.Dialout.CallerID, c.Budgets.Lifted, c.MaxSIPSessions = "random", true, 50 })
	w.dialRoom("r", nil)
	seen := map[any]bool{}
	for range 40 {
		seen[from(w, object{"phoneNumber": callee})] = true
	}
	if len(seen) != 2 {
		t.Errorf("called from %v", seen)
	}
}

func TestRoomHasFiveLegsAtMostAndFreesThem(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Lifted = true })
	w.dialRoom("r", nil) // its SIP endpoint is one of the five
	var ids []string
	for range 4 {
		ids = append(ids, w.dial("r", object{"phoneNumber": callee}))
	}
	w.want(400, "POST", "/rooms/r/dialOut/start", object{"phoneNumber": callee})
	w.is(ids[0], "answered")
	w.want(200, "POST", "/rooms/r/dialOut/stop", object{"sessionId": ids[0]})
	w.dial("r", object{"phoneNumber": callee})
	if st := w.Stats(); st.Dialled[callee] != 5 || st.Dials[sim.Ended] != 1 {
		t.Fatalf("stats %+v", st)
	}
}

func TestDialsTakeFromTheirOwnBudget(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Dial = sim.Budget{Limit: 1, Window: sim.Duration(time.Hour)} })
	w.dialRoom("r", nil)
	id := w.dial("r", object{"phoneNumber": callee})
	if answer := w.want(429, "POST", "/rooms/r/dialOut/start", object{"phoneNumber": callee}); answer["error"] != "rate-limit-error" {
		t.Fatalf("answer %v", answer)
	}
	w.want(200, "POST", "/rooms/r/dialOut/stop", object{"sessionId": id}) // a stop does not
	if n := w.Stats().Dialled[callee]; n != 1 {
		t.Fatalf("called %d times", n)
	}
}

func TestSecondDialWhileOneIsOnBySetting(t *testing.T) {
	for setting, want := range map[string]struct{ same, other int }{
		"never": {200, 200}, "same-target": {400, 200}, "any": {400, 400},
	} {
		t.Run(setting, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.Dialout.AlreadyStarted = setting })
			w.dialRoom("r", nil)
			first := w.dial("r", object{"phoneNumber": callee})
			w.want(want.same, "POST", "/rooms/r/dialOut/start", object{"phoneNumber": callee})
			w.want(want.other, "POST", "/rooms/r/dialOut/start", object{"phoneNumber": "+15553334444"})
			w.want(200, "POST", "/rooms/r/dialOut/stop", object{"sessionId": first})
			if n := w.Stats().Dialled[callee]; (n == 2) != (want.same == 200) {
				t.Errorf("called %d times", n)
			}
		})
	}
}

func TestDialOutMayStartAnEmptyRoom(t *testing.T) {
	w := start(t)
	url, _ := w.room("r", object{"enable_dialout": true, "dialout_config": object{"allow_room_start": true}})
	id := w.dial("r", object{"phoneNumber": callee})
	w.is(id, "answered")
	w.hook.event("meeting.started")
	bot := w.bot(url)
	w.control(200, "POST", "/sim/dials/"+id+"/hangup", nil)
	bot.wait("dialout-stopped")
}

func TestStopsAndTones(t *testing.T) {
	w := start(t)
	w.room("empty", object{"enable_dialout": true})
	bot := w.dialRoom("r", nil)
	w.does(callee, sim.Behaviour{Does: "no-answer"})
	for phrase, c := range map[string]struct {
		path   string
		body   object
		status int
	}{
		"stop without a session": {"/rooms/r/dialOut/stop", object{}, 400},
		"stop nothing":           {"/rooms/r/dialOut/stop", object{"sessionId": "x"}, 404},
		"stop in an empty room":  {"/rooms/empty/dialOut/stop", object{"sessionId": "x"}, 404},
		"stop in no room":        {"/rooms/nowhere/dialOut/stop", object{"sessionId": "x"}, 404},
		"tones to nobody":        {"/rooms/r/dialOut/sendDTMF", object{"sessionId": "x", "tones": "1"}, 404},
		"tones to a bot":         {"/rooms/r/dialOut/sendDTMF", object{"sessionId": bot.id, "tones": "1"}, 404},
		"no tones":               {"/rooms/r/dialOut/sendDTMF", object{"sessionId": "x"}, 400},
		"bad tones":              {"/rooms/r/dialOut/sendDTMF", object{"sessionId": "x", "tones": "hello"}, 400},
		"too short":              {"/rooms/r/dialOut/sendDTMF", object{"sessionId": "x", "tones": "1", "digitDurationMs": 10}, 400},
	} {
		if status, answer := w.rest("POST", c.path, c.body); status != c.status || answer["error"] == nil {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	id := w.dial("r", object{"phoneNumber": callee})
	bot.wait("dialout-connected")
	w.want(200, "POST", "/rooms/r/dialOut/sendDTMF", object{"sessionId": id, "tones": "12#", "digitDurationMs": 500})
	w.want(200, "POST", "/rooms/r/dialOut/stop", object{"sessionId": id})
	bot.wait("dialout-stopped")
	if d := w.is(id, "ended"); d["why"] != "stopped" || d["tones"].([]any)[0] != "12#" || d["answered_at"] != nil {
		t.Errorf("dial %v", d)
	}
	w.want(404, "POST", "/rooms/r/dialOut/stop", object{"sessionId": id}) // it is stopped already
}

// Whoever asks again after one of these may call a person twice; the transcript tells.
func TestFaultsOfTheStart(t *testing.T) {
	for phrase, c := range map[string]struct {
		fault   sim.Fault
		status  int
		dialled int
	}{
		"429":                          {sim.Fault{Kind: "status", Status: 429}, 429, 0},
		"500 before":                   {sim.Fault{Kind: "status", Status: 500}, 500, 0},
		"500 after somebody is called": {sim.Fault{Kind: "status", Status: 500, When: "after"}, 500, 1},
		"no answer, nobody called":     {sim.Fault{Kind: "drop"}, 0, 0},
		"no answer, somebody called":   {sim.Fault{Kind: "drop", When: "after"}, 0, 1},
		"a late answer":                {sim.Fault{Kind: "slow", Delay: ms(30), When: "after"}, 200, 1},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			bot := w.dialRoom("r", nil)
			c.fault.Class = "dial"
			if err := w.SetFaults(sim.Faults{REST: []sim.Fault{c.fault}}); err != nil {
				t.Fatal(err)
			}
			status := 0
			resp, err := w.do("POST", "/v1/rooms/r/dialOut/start", sim.Defaults().APIKey, object{"phoneNumber": callee})
			if err == nil {
				status = resp.StatusCode
				resp.Body.Close()
			}
			if status != c.status {
				t.Errorf("status %d", status)
			}
			dials := w.control(200, "GET", "/sim/dials?to=%2B15551112222", nil)
			if dials["total"] != float64(c.dialled) || w.Stats().Dialled[callee] != c.dialled {
				t.Errorf("dials %v", dials)
			}
			if c.dialled > 0 {
				bot.wait("dialout-answered")
			}
		})
	}
}

func TestWebhooksOfDialsDoubledLateAndLost(t *testing.T) {
	w := start(t)
	bot := w.dialRoom("r", nil)
	if err := w.SetFaults(sim.Faults{Events: sim.WebhookFaults{Duplicate: 1, DuplicateNewID: true, Delay: 1, DelayMax: ms(5)}}); err != nil {
		t.Fatal(err)
	}
	w.does(callee, sim.Behaviour{Talk: ms(1)})
	w.dial("r", object{"phoneNumber": callee})
	for _, kind := range []string{"dialout.connected", "dialout.answered", "dialout.stopped"} {
		if twice := w.hook.until("/events", 2, ofType(kind)); twice[0].object["id"] == twice[1].object["id"] {
			t.Errorf("%s: %s", kind, twice[0].body)
		}
	}
	bot.wait("dialout-stopped")
	if err := w.SetFaults(sim.Faults{Events: sim.WebhookFaults{Lose: 1}}); err != nil {
		t.Fatal(err)
	}
	w.dial("r", object{"phoneNumber": callee})
	bot.wait("dialout-stopped")
	if lost := w.control(200, "GET", "/sim/deliveries?type=dialout.stopped", nil)["data"].([]any); lost[len(lost)-1].(object)["lost"] != true {
		t.Errorf("deliveries %v", lost)
	}
}

func TestTelephonyKeysBySetting(t *testing.T) {
	for setting, key := range map[string]string{"camel": "sipCallId", "snake": "sip_call_id", "none": ""} {
		t.Run(setting, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.TelephonyKeys = setting })
			w.dialRoom("out", nil)
			w.dial("out", object{"phoneNumber": callee})
			w.connected("in", nil, sim.CallSpec{})
			for _, kind := range []string{"dialout.connected", "dialin.connected"} {
				p := w.hook.event(kind).payload()
				if (p["provider"] != nil) != (key != "") || (p["sipCallId"] != nil) != (key == "sipCallId") || (p["sip_call_id"] != nil) != (key == "sip_call_id") {
					t.Errorf("%s %v", kind, p)
				}
			}
		})
	}
}

func TestDialsWithoutAnybodyToTalkToEnd(t *testing.T) {
	long := sim.Behaviour{Does: "no-answer", After: sim.Duration(time.Hour)}
	for phrase, c := range map[string]struct {
		change func(*sim.Config)
		state  string // in which the dial is when it happens
		end    func(w *world, bot *client, id string)
		why    string
	}{
		"the bot leaves while it rings": {nil, "ringing", func(_ *world, bot *client, _ string) { bot.leave() }, "room-idle"},
		"the bot leaves before it rings": {
			func(c *sim.Config) { c.Dialout.RingDelay = sim.Duration(time.Hour) }, "dialling",
			func(_ *world, bot *client, _ string) { bot.leave() }, "room-ended",
		},
		"the bot leaves while it rings outside the room": {
			func(c *sim.Config) { c.Dialout.Joins = "answered" }, "ringing",
			func(_ *world, bot *client, _ string) { bot.leave() }, "room-ended",
		},
		"the room is deleted": {nil, "ringing", func(w *world, _ *client, _ string) {
			w.want(200, "DELETE", "/rooms/r", nil)
		}, "room-deleted"},
		"the room is deleted before it rings": {
			func(c *sim.Config) { c.Dialout.RingDelay = sim.Duration(time.Hour) }, "dialling",
			func(w *world, _ *client, _ string) { w.want(200, "DELETE", "/rooms/r", nil) }, "room-deleted",
		},
		"the leg is ejected": {nil, "ringing", func(w *world, _ *client, id string) {
			w.want(200, "POST", "/rooms/r/eject", object{"ids": []string{id}})
		}, "ejected"},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, func(cfg *sim.Config) {
				if c.change != nil {
					c.change(cfg)
				}
			})
			w.does(callee, long)
			bot := w.dialRoom("r", nil)
			id := w.dial("r", object{"phoneNumber": callee})
			w.is(id, c.state)
			c.end(w, bot, id)
			if d := w.is(id, "ended"); d["why"] != c.why {
				t.Fatalf("dial %v", d)
			}
			w.hook.event("dialout.stopped")
			if legs := w.Stats().Legs; legs != 0 {
				t.Fatalf("%d legs", legs)
			}
		})
	}
}

func TestGraceKeepsACalledPersonWithoutABot(t *testing.T) {
	w := start(t)
	bot := w.dialRoom("r", object{"dialout_config": object{"max_idle_timeout_sec": 60}})
	id := w.dial("r", object{"phoneNumber": callee})
	w.is(id, "answered")
	bot.leave()
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Bots.Live == 0 }); err != nil {
		t.Fatal(err)
	}
	if d, _ := w.Dial(id); d.State != sim.Answered {
		t.Fatalf("dial %+v", d)
	}
}
