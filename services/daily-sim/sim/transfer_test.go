// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

var mayDial = object{"enable_dialout": true}

// session is the session id of the call in its last room.
func (w *world) session(id string) string {
	w.t.Helper()
	c, _ := w.Call(id)
	return c.Sessions[len(c.Sessions)-1]
}

// transfer sends a phone of room r away.
func (w *world) transfer(status int, session, to string) object {
	w.t.Helper()
	return w.want(status, "POST", "/rooms/r/sipCallTransfer", object{"sessionId": session, "toEndPoint": to})
}

func (w *world) untilTransfer(what string, cond func(sim.Transfer) bool) sim.Transfer {
	w.t.Helper()
	last := func() sim.Transfer {
		if all := w.Transfers(); len(all) > 0 {
			return all[len(all)-1]
		}
		return sim.Transfer{}
	}
	if err := w.WaitFor(w.ctx(), func() bool { return cond(last()) }); err != nil {
		w.t.Fatalf("waiting for the transfer to be %s: %v; it is %+v", what, err, last())
	}
	return last()
}

func (w *world) untilMoved(state string) sim.Transfer {
	w.t.Helper()
	return w.untilTransfer(state, func(t sim.Transfer) bool { return t.State == state })
}

// toldOf lists what the domain webhook is told of transfers, when it has been told so much.
func (w *world) toldOf(n int) []string {
	w.t.Helper()
	var kinds []string
	for _, e := range w.hook.until("/events", n, func(g got) bool {
		kind, _ := g.object["type"].(string)
		return strings.HasPrefix(kind, "calltransfer.")
	}) {
		kinds = append(kinds, strings.TrimPrefix(e.object["type"].(string), "calltransfer."))
	}
	slices.SortFunc(kinds, func(a, b string) int {
		order := []string{"triggered", "initiated", "answered", "completed"}
		return slices.Index(order, a) - slices.Index(order, b)
	})
	return kinds
}

func TestTransferToANumber(t *testing.T) {
	w := start(t)
	id, bot := w.connected("r", mayDial, sim.CallSpec{From: "+15551230000"})
	session := w.session(id)
	w.want(200, "POST", "/rooms/r/sipCallTransfer", object{"sessionId": session, "toEndPoint": callee, "extension": "12", "waitBeforeExtensionDialSec": 2})

	if left := bot.wait("participant-left"); left["participant"].(object)["sessionId"] != session {
		t.Fatalf("left %v", left)
	}
	if stopped := bot.wait("dialin-stopped"); stopped["sessionId"] != session {
		t.Fatalf("stopped %v", stopped)
	}
	moved := w.untilMoved("answered")
	if moved.Room != "r" || moved.SessionID != session || moved.Call != id || moved.To != callee || moved.By != "rest" || moved.Refer ||
		moved.Asked["extension"] != "12" || moved.InitiatedAt == nil || moved.EndedAt != nil {
		t.Fatalf("transfer %+v", moved)
	}
	if c, _ := w.Call(id); c.State != sim.Transferred || c.Live != 0 {
		t.Fatalf("call %+v", c)
	}
	if d := w.is(moved.Dial, "answered"); d["by"] != "transfer" || d["to"] != callee || d["from"] != number {
		t.Fatalf("dial %v", d)
	}
	if heard := w.Hears("r"); len(heard) != 1 || len(heard[0].Hears) != 0 {
		t.Fatalf("in the room is %+v", heard)
	}
	w.transfer(404, session, callee) // it is not there any more
	w.control(200, "POST", "/sim/dials/"+moved.Dial+"/hangup", nil)
	if c := w.untilState(id, sim.Ended); c.Why != "transfer-ended" {
		t.Fatalf("call %+v", c)
	}
	if moved := w.untilMoved("ended"); moved.Why != "hung-up" {
		t.Fatalf("transfer %+v", moved)
	}
	if told := w.toldOf(4); strings.Join(told, " ") != "triggered initiated answered completed" {
		t.Fatalf("told %v", told)
	}
	meeting := w.hook.event("meeting.started").payload()["meeting_id"]
	for kind, short := range map[string]string{"triggered": "trig", "initiated": "init", "answered": "answered", "completed": "completed"} {
		e := w.hook.event("calltransfer." + kind)
		p := e.payload()
		_, refers := p["is_sip_refer"]
		if p["session_id"] != session || p["room"] != "r" || p["mtg_session_id"] != meeting || p["to_endpoint"] != callee ||
			p["from_endpoint"] != "+15551230000" || p["domain_id"] != sim.Defaults().DomainID || len(p["timestamp"].(string)) != 10 ||
			refers != (kind == "triggered" || kind == "initiated") || refers && p["is_sip_refer"] != false {
			t.Errorf("%s: %s", kind, e.body)
		}
		if name := e.object["id"].(string); !strings.HasPrefix(name, "3602-call-transfer-"+short+"-"+session) {
			t.Errorf("id %s", name)
		}
		if read, err := daily.ParseEvent(e.body); err != nil || read.SessionID != session || read.ToEndpoint != callee || read.At.IsZero() {
			t.Errorf("%s is read as %+v, %v", kind, read, err)
		}
	}
	if l := w.control(200, "GET", "/sim/transfers?room=r&call="+id+"&state=ended", nil); l["total"] != 1.0 {
		t.Errorf("transfers %v", l)
	}
	if n := w.Stats(); n.Dialled[callee] != 1 || n.Transfers["ended"] != 1 {
		t.Errorf("stats %+v", n)
	}
}

// Nobody can take back who was sent away: whatever the other side does, it never leads into the room again.
func TestWhatBecomesOfATransfer(t *testing.T) {
	forever := sim.Behaviour{Does: "no-answer", After: sim.Duration(patience)}
	hangUp := func(w *world, id, _ string) { _ = w.Hangup(id) }
	for phrase, c := range map[string]struct {
		does       sim.Behaviour
		unanswered string                          // transfers.unanswered
		state      string                          // of the transfer, in which it happens
		happens    func(w *world, id, dial string) // nil: nothing but what the other side does
		told       string
		why        string // of the transfer
		callWhy    string
	}{
		"answered, the other side hangs up": {sim.Behaviour{Talk: ms(1)}, "", "", nil, "triggered initiated answered completed", "hung-up", "transfer-ended"},
		"a machine answers":                 {sim.Behaviour{Does: "voicemail", Talk: ms(1)}, "", "", nil, "triggered initiated answered completed", "hung-up", "transfer-ended"},
		"answered, the caller hangs up":     {sim.Behaviour{}, "", "answered", hangUp, "triggered initiated answered completed", "caller-hung-up", "hung-up"},
		"the caller does not wait":          {forever, "", "initiated", hangUp, "triggered initiated", "caller-hung-up", "hung-up"},
		"nobody answers":                    {sim.Behaviour{Does: "no-answer", After: ms(1)}, "", "", nil, "triggered initiated", "no-answer", "transfer-failed"},
		"nobody answers, and it is told":    {sim.Behaviour{Does: "no-answer", After: ms(1)}, "completed", "", nil, "triggered initiated completed", "no-answer", "transfer-failed"},
		"declined":                          {sim.Behaviour{Does: "reject"}, "", "", nil, "triggered initiated", "rejected", "transfer-failed"},
		"busy":                              {sim.Behaviour{Does: "busy"}, "", "", nil, "triggered initiated", "busy", "transfer-failed"},
		"no such number":                    {sim.Behaviour{Does: "invalid"}, "", "", nil, "triggered initiated", "invalid-number", "transfer-failed"},
		"another error":                     {sim.Behaviour{Does: "error", Warning: "beware"}, "", "", nil, "triggered initiated", "error", "transfer-failed"},
		"answered by hand": {forever, "", "initiated", func(w *world, _, dial string) {
			_ = w.AnswerDial(dial)
			_ = w.HangupDial(dial)
		}, "triggered initiated answered completed", "hung-up", "transfer-ended"},
		"the room goes, the two talk on": {sim.Behaviour{}, "", "answered", func(w *world, id, _ string) {
			w.want(200, "DELETE", "/rooms/r", nil)
			if c, _ := w.Call(id); c.State != sim.Transferred {
				w.t.Errorf("call %+v", c)
			}
			_ = w.Hangup(id)
		}, "triggered initiated answered completed", "caller-hung-up", "hung-up"},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, func(cfg *sim.Config) {
				if c.unanswered != "" {
					cfg.Transfers.Unanswered = c.unanswered
				}
			})
			w.does(callee, c.does)
			id, bot := w.connected("r", mayDial, sim.CallSpec{})
			w.transfer(200, w.session(id), callee)
			if c.happens != nil {
				c.happens(w, id, w.untilTransfer(c.state, func(t sim.Transfer) bool { return t.State == c.state && t.Dial != "" }).Dial)
			}
			if call := w.untilState(id, sim.Ended); call.Why != c.callWhy || call.Legs != 1 {
				t.Errorf("call %+v", call)
			}
			moved := w.untilMoved("ended")
			if moved.Why != c.why {
				t.Errorf("transfer %+v", moved)
			}
			if d, _ := w.Dial(moved.Dial); d.State != sim.Ended {
				t.Errorf("dial %+v", d)
			}
			want := strings.Fields(c.told)
			if told := w.toldOf(len(want)); !slices.Equal(told, want) {
				t.Errorf("told %v", told)
			}
			if strings.Contains(strings.Join(bot.told("dialin-stopped"), " "), "warning") {
				t.Error("the room heard of the other side")
			}
		})
	}
}

func TestTransferToAnotherRoom(t *testing.T) {
	w := start(t)
	url, endpoint := w.room("other", nil)
	there := w.bot(url)
	there.wait("dialin-ready")
	id, here := w.connected("r", nil, sim.CallSpec{From: "+15551230000"}) // no dial-out is needed for it
	first := w.session(id)
	w.transfer(200, first, "sip:"+endpoint)
	here.wait("dialin-stopped")
	came := there.wait("dialin-connected")
	moved := w.untilMoved("answered")
	second := w.session(id)
	if first == second || came["sessionId"] != second || came["sipFrom"] != "+15551230000" || moved.ToRoom != "other" || moved.Dial != "" {
		t.Fatalf("came %v by %+v", came, moved)
	}
	c := w.untilState(id, sim.Connected)
	if strings.Join(c.Rooms, " ") != "r other" || c.Legs != 2 || c.Live != 1 || c.Forwards != 1 {
		t.Fatalf("call %+v", c)
	}
	if err := w.Hangup(id); err != nil {
		t.Fatal(err)
	}
	there.wait("dialin-stopped")
	if told := w.toldOf(4); strings.Join(told, " ") != "triggered initiated answered completed" {
		t.Fatalf("told %v", told)
	}
	if p := w.hook.event("calltransfer.completed").payload(); p["room"] != "r" || p["session_id"] != first {
		t.Fatalf("completed %v", p)
	}
	if c := w.untilState(id, sim.Ended); c.Why != "hung-up" {
		t.Fatalf("call %+v", c)
	}
}

func TestTransferToARoomThatCannotBeReachedLosesTheCaller(t *testing.T) {
	for phrase, prepare := range map[string]func(w *world) (endpoint string){
		"nobody is there": func(w *world) string {
			_, endpoint := w.room("other", nil)
			return endpoint
		},
		"its endpoint is busy": func(w *world) string {
			url, endpoint := w.room("other", nil)
			w.bot(url).wait("dialin-ready")
			if status, _ := w.forward(w.ring(sim.CallSpec{}), endpoint); status != 200 {
				w.t.Fatal(status)
			}
			return endpoint
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			endpoint := prepare(w)
			id, _ := w.connected("r", nil, sim.CallSpec{})
			w.transfer(200, w.session(id), "sip:"+endpoint)
			if c := w.untilState(id, sim.Ended); c.Why != "transfer-failed" {
				t.Errorf("call %+v", c)
			}
			if moved := w.untilMoved("ended"); moved.Why != "unreachable" {
				t.Errorf("transfer %+v", moved)
			}
		})
	}
}

func TestTransferOfACalledPerson(t *testing.T) {
	for phrase, room := range map[string]string{"to a number": "", "to another room": "other"} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			bot := w.dialRoom("r", nil)
			id := w.dial("r", object{"phoneNumber": callee})
			to := "+15553334444"
			if room != "" {
				url, endpoint := w.room(room, nil)
				w.bot(url).wait("dialin-ready")
				to = "sip:" + endpoint
			}
			w.is(id, "answered")
			w.transfer(200, id, to)
			bot.wait("dialout-stopped")
			if d := w.is(id, "ended"); d["why"] != "transferred" {
				t.Fatalf("dial %v", d)
			}
			moved := w.untilMoved("answered")
			if moved.ToRoom != room || (moved.Call != "") != (room != "") {
				t.Fatalf("transfer %+v", moved)
			}
			if p := w.hook.event("calltransfer.answered").payload(); p["from_endpoint"] != callee || p["session_id"] != id {
				t.Fatalf("answered %v", p)
			}
			if room != "" {
				if c := w.untilState(moved.Call, sim.Connected); *c.From != callee {
					t.Fatalf("call %+v", c)
				}
			}
			if err := w.HangupDial(id); err != nil { // wherever they are now
				t.Fatal(err)
			}
			w.untilMoved("ended")
			w.hook.event("calltransfer.completed")
			if legs := w.Stats().Legs; legs != 0 {
				t.Errorf("%d legs", legs)
			}
		})
	}
}

func TestRefer(t *testing.T) {
	w := start(t) // the caller's provider calls: the room needs no dial-out
	w.does("sip:help@desk.example", sim.Behaviour{Talk: ms(1)})
	id, bot := w.connected("r", nil, sim.CallSpec{From: "+15551230000"})
	w.want(200, "POST", "/rooms/r/sipRefer", object{"sessionId": w.session(id), "toEndPoint": "sip:help@desk.example?X-A=b"})
	bot.wait("dialin-stopped")
	w.untilState(id, sim.Ended)
	moved := w.untilMoved("ended")
	if !moved.Refer || moved.AnsweredAt == nil || moved.To != "sip:help@desk.example" {
		t.Fatalf("transfer %+v", moved)
	}
	if d, _ := w.Dial(moved.Dial); d.By != "refer" || d.From != "+15551230000" {
		t.Fatalf("dial %+v", d)
	}
	if told := w.toldOf(2); strings.Join(told, " ") != "triggered initiated" {
		t.Fatalf("told %v", told)
	}
	if p := w.hook.event("calltransfer.initiated").payload(); p["is_sip_refer"] != true {
		t.Fatalf("initiated %v", p)
	}
}

func TestReferThatIsDeclinedLeavesThePhoneWhereItIs(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Transfers.Refer = "declined" })
	id, _ := w.connected("r", mayDial, sim.CallSpec{})
	w.want(200, "POST", "/rooms/r/sipRefer", object{"sessionId": w.session(id), "toEndPoint": "sip:a@b"})
	if moved := w.untilMoved("ended"); moved.Why != "declined" {
		t.Fatalf("transfer %+v", moved)
	}
	if told := w.toldOf(1); strings.Join(told, " ") != "triggered" {
		t.Fatalf("told %v", told)
	}
	if c, _ := w.Call(id); c.State != sim.Connected || c.Live != 1 {
		t.Fatalf("call %+v", c)
	}
	w.transfer(200, w.session(id), callee) // and it can be sent elsewhere
	w.untilMoved("answered")
}

func TestTransferRefused(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Lifted, c.Transfers.Delay = true, sim.Duration(patience) })
	w.does("+15550009999", sim.Behaviour{Does: "start-error", Status: 503, Text: "no workers"})
	w.does("+15558887777", sim.Behaviour{Does: "no-answer"})
	id, bot := w.connected("r", mayDial, sim.CallSpec{})
	_, endpoint := w.room("empty", nil)
	w.connected("mute", nil, sim.CallSpec{})
	session, mute := w.session(id), w.Hears("mute")[1].SessionID
	ringing := w.dial("r", object{"phoneNumber": "+15558887777"})
	w.is(ringing, "ringing")
	ask := func(to string, more object) object {
		body := object{"sessionId": session, "toEndPoint": to}
		for k, v := range more {
			body[k] = v
		}
		return body
	}
	for phrase, c := range map[string]struct {
		path   string
		body   object
		status int
		info   string
	}{
		"nobody":                  {"r/sipCallTransfer", object{"toEndPoint": callee}, 400, "sessionId"},
		"to nobody":               {"r/sipCallTransfer", object{"sessionId": session}, 400, "toEndPoint"},
		"to no E.164":             {"r/sipCallTransfer", ask("5551112222", nil), 400, "E.164"},
		"no such room":            {"nowhere/sipCallTransfer", ask(callee, nil), 404, "not found"},
		"an empty room":           {"empty/sipCallTransfer", ask(callee, nil), 404, "not hosting"},
		"no such session":         {"r/sipCallTransfer", ask(callee, object{"sessionId": "x"}), 404, "invalid sessionId"},
		"a bot":                   {"r/sipCallTransfer", ask(callee, object{"sessionId": bot.id}), 404, "invalid sessionId"},
		"a phone that rings":      {"r/sipCallTransfer", ask(callee, object{"sessionId": ringing}), 400, "not been answered"},
		"a SIP caller id":         {"r/sipCallTransfer", ask("sip:a@b", object{"callerId": "x"}), 400, "callerId"},
		"an unknown caller id":    {"r/sipCallTransfer", ask(callee, object{"callerId": "x"}), 400, "callerId"},
		"a long extension":        {"r/sipCallTransfer", ask(callee, object{"extension": strings.Repeat("1", 21)}), 400, "extension"},
		"a long wait":             {"r/sipCallTransfer", ask(callee, object{"waitBeforeExtensionDialSec": 61}), 400, "waitBeforeExtensionDialSec"},
		"abroad":                  {"r/sipCallTransfer", ask("+31201234567", nil), 400, "International"},
		"dial-out not enabled":    {"mute/sipCallTransfer", ask(callee, object{"sessionId": mute}), 400, "dial-out not enabled"},
		"a start that is to fail": {"r/sipCallTransfer", ask("+15550009999", nil), 503, "no workers"},
		"REFER into a room":       {"r/sipRefer", ask("sip:"+endpoint, nil), 400, "outside Daily"},
		"REFER of nobody":         {"r/sipRefer", object{"toEndPoint": callee}, 400, "sessionId"},
		"REFER of a bot":          {"r/sipRefer", ask(callee, object{"sessionId": bot.id}), 404, "invalid sessionId"},
	} {
		status, answer := w.rest("POST", "/rooms/"+c.path, c.body)
		if info, _ := answer["info"].(string); status != c.status || !strings.Contains(info, c.info) || answer["error"] == nil {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if all := w.Transfers(); len(all) != 0 {
		t.Errorf("somebody was transferred: %+v", all)
	}
	w.transfer(200, session, callee)
	if answer := w.transfer(400, session, callee); !strings.Contains(answer["info"].(string), "already") {
		t.Errorf("again: %v", answer)
	}
}

func TestWhatIsOpenAboutTransfersIsSet(t *testing.T) {
	slow := sim.Duration(patience)
	for phrase, c := range map[string]struct {
		change func(*sim.Config)
		props  object
		check  func(w *world, id, session string)
	}{
		"no dial-out needed": {func(c *sim.Config) { c.Transfers.NeedsDialout = false }, nil, func(w *world, _, session string) {
			w.transfer(200, session, callee)
		}},
		"again is no error": {func(c *sim.Config) { c.Transfers.Again, c.Transfers.Delay = "ignored", slow }, mayDial, func(w *world, _, session string) {
			w.transfer(200, session, callee)
			w.transfer(200, session, "+15553334444")
			if all := w.Transfers(); len(all) != 1 || all[0].To != callee {
				w.t.Errorf("transfers %+v", all)
			}
		}},
		"counted as dials": {func(c *sim.Config) { c.Transfers.Again, c.Transfers.Delay = "ignored", slow }, mayDial, func(w *world, _, session string) {
			for range 5 {
				w.transfer(200, session, callee)
			}
			w.transfer(429, session, callee)
		}},
		"not counted as dials": {func(c *sim.Config) {
			c.Transfers.Again, c.Transfers.Delay, c.Transfers.Budget = "ignored", slow, "most"
		}, mayDial, func(w *world, _, session string) {
			for range 6 {
				w.transfer(200, session, callee)
			}
		}},
		"triggered is told when it is accepted": {func(c *sim.Config) { c.Transfers.Order, c.Transfers.Delay = "triggered-first", slow }, mayDial, func(w *world, id, session string) {
			w.transfer(200, session, callee)
			w.toldOf(1)
			if c, _ := w.Call(id); c.State != sim.Connected {
				w.t.Errorf("call %+v", c)
			}
		}},
		"triggered is told when the phone has left": {func(c *sim.Config) { c.Transfers.Delay = ms(50) }, mayDial, func(w *world, id, session string) {
			w.transfer(200, session, callee)
			w.toldOf(1)
			if c, _ := w.Call(id); c.State != sim.Transferred {
				w.t.Errorf("call %+v", c)
			}
		}},
		"the caller hangs up before it leaves": {func(c *sim.Config) { c.Transfers.Delay = slow }, mayDial, func(w *world, id, session string) {
			w.transfer(200, session, callee)
			_ = w.Hangup(id)
			if moved := w.untilMoved("ended"); moved.Why != "hung-up" || moved.InitiatedAt != nil || w.Stats().Dialled[callee] != 0 {
				w.t.Errorf("transfer %+v", moved)
			}
		}},
		"it ends with the session": {func(c *sim.Config) { c.Transfers.EndsWith = "session" }, mayDial, func(w *world, id, session string) {
			w.transfer(200, session, callee)
			w.untilMoved("answered")
			w.want(200, "DELETE", "/rooms/r", nil)
			if c := w.untilState(id, sim.Ended); c.Why != "transfer-ended" {
				w.t.Errorf("call %+v", c)
			}
			if moved := w.untilMoved("ended"); moved.Why != "room-ended" {
				w.t.Errorf("transfer %+v", moved)
			}
		}},
		"it ends with the session when that is left": {func(c *sim.Config) { c.Transfers.EndsWith = "session" }, mayDial, func(w *world, id, session string) {
			w.transfer(200, session, callee)
			w.untilMoved("answered")
			w.want(200, "POST", "/rooms/r/eject", object{"ids": []string{w.Hears("r")[0].SessionID}})
			w.untilState(id, sim.Ended)
		}},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, c.change)
			id, _ := w.connected("r", c.props, sim.CallSpec{})
			c.check(w, id, w.session(id))
		})
	}
}

func TestBotTransfersByItself(t *testing.T) {
	for path, refer := range map[string]bool{"sip-call-transfer": false, "sip-refer": true} {
		t.Run(path, func(t *testing.T) {
			w := start(t)
			id, bot := w.connected("r", mayDial, sim.CallSpec{})
			guest, _, _ := w.enter(w.url+"/daily/r", "")
			settings := object{"sessionId": w.session(id), "toEndPoint": callee}
			for phrase, c := range map[string]struct {
				body   object
				status int
				info   string
			}{
				"not in the room":  {object{"session_id": "x", "settings": settings}, 404, "session_id"},
				"no owner":         {object{"session_id": guest.id, "settings": settings}, 403, "owner"},
				"no settings":      {object{"session_id": bot.id}, 400, "sessionId"},
				"an unknown field": {object{"session_id": bot.id, "sessionId": "x"}, 400, "sessionId"},
				"itself":           {object{"session_id": bot.id, "settings": object{"sessionId": bot.id, "toEndPoint": callee}}, 404, "invalid sessionId"},
			} {
				if status, answer := w.send("POST", "/daily/r/"+path, "", c.body); status != c.status || !strings.Contains(answer["info"].(string), c.info) {
					t.Errorf("%s: %d %v", phrase, status, answer)
				}
			}
			if status, answer := w.send("POST", "/daily/r/"+path, "", object{"session_id": bot.id, "settings": settings}); status != 200 || len(answer) != 0 {
				t.Fatalf("%d %v", status, answer)
			}
			bot.wait("dialin-stopped")
			if moved := w.untilMoved("answered"); moved.By != "bot" || moved.Refer != refer {
				t.Errorf("transfer %+v", moved)
			}
		})
	}
}

// Whoever asks again after one of these must not rely on the first having failed.
func TestTrunklinesClientUnderFaultsOfATransfer(t *testing.T) {
	for phrase, c := range map[string]struct {
		fault    sim.Fault
		doubtful bool
		moved    int
	}{
		"429":                           {sim.Fault{Kind: "status", Status: 429}, false, 0},
		"500 before":                    {sim.Fault{Kind: "status", Status: 500}, true, 0},
		"500 after the caller was sent": {sim.Fault{Kind: "status", Status: 500, When: "after"}, true, 1},
		"no answer, and sent":           {sim.Fault{Kind: "drop", When: "after"}, true, 1},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			id, _ := w.connected("r", mayDial, sim.CallSpec{})
			c.fault.Match = "POST /rooms/*/sipCallTransfer"
			if err := w.SetFaults(sim.Faults{REST: []sim.Fault{c.fault}}); err != nil {
				t.Fatal(err)
			}
			client := daily.Client{BaseURL: w.url + "/v1", APIKey: sim.Defaults().APIKey}
			ask := daily.TransferSpec{SessionID: w.session(id), To: callee}
			if err := client.SIPCallTransfer(w.ctx(), "r", ask); err == nil || daily.Doubtful(err) != c.doubtful {
				t.Error(err)
			}
			if all := w.Transfers(); len(all) != c.moved {
				t.Fatalf("transfers %+v", all)
			}
			if err := w.SetFaults(sim.Faults{}); err != nil {
				t.Fatal(err)
			}
			if c.moved > 0 {
				w.untilMoved("answered")
				if err := client.SIPCallTransfer(w.ctx(), "r", ask); !errors.Is(err, daily.ErrNotFound) {
					t.Errorf("once more: %v", err)
				}
			} else if err := client.SIPRefer(w.ctx(), "r", ask.SessionID, "sip:a@b"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A room may start by itself: nobody but a caller and an operator is ever in it.
func TestRoomWithoutABot(t *testing.T) {
	starts := object{"allow_room_start": true, "max_idle_timeout_sec": 1}
	props := object{
		"enable_dialout": true, "dialout_config": starts,
		"sip": object{"display_name": "x", "sip_mode": "dial-in", "dialin_config": starts},
	}
	for phrase, first := range map[string]string{"the caller first": "caller", "the operator first": "operator"} {
		for _, rule := range []string{"stay", "alone"} {
			t.Run(phrase+", "+rule, func(t *testing.T) {
				w := start(t, func(c *sim.Config) { c.LegsFirst = rule })
				_, endpoint := w.room("r", props)
				call := w.ring(sim.CallSpec{})
				operator := ""
				comes := map[string]func(){
					"caller": func() {
						if status, answer := w.forward(call, endpoint); status != 200 {
							t.Fatalf("%d %v", status, answer)
						}
						w.untilState(call, sim.Connected)
					},
					"operator": func() {
						operator = w.dial("r", object{"phoneNumber": callee})
						w.is(operator, "answered")
					},
				}
				comes[first]()
				delete(comes, first)
				for _, other := range comes {
					other()
				}
				if said, err := w.Say("r", operator, "Hello"); err != nil || !slices.Equal(said.HeardBy, []string{w.session(call)}) {
					t.Fatalf("said %+v, %v", said, err)
				}
				if rule == "alone" {
					if c := w.untilState(call, sim.Ended); c.Why != "room-idle" {
						t.Fatalf("call %+v", c)
					}
					return
				}
				w.control(200, "POST", "/sim/dials/"+operator+"/hangup", nil)
				w.hook.event("dialout.stopped")
				if c, _ := w.Call(call); c.State != sim.Connected {
					t.Fatalf("call %+v", c)
				}
				_ = w.Hangup(call)
				w.hook.event("dialin.stopped")
				w.hook.event("meeting.ended")
			})
		}
	}
}
