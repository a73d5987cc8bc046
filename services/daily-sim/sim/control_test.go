// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func (w *world) control(status int, method, path string, body any) object {
	w.t.Helper()
	got, answer := w.send(method, path, "", body)
	if got != status {
		w.t.Fatalf("%s %s: %d %v, want %d", method, path, got, answer, status)
	}
	return answer
}

func TestCallOverTheControlAPI(t *testing.T) {
	w := start(t)
	call := w.control(200, "POST", "/sim/calls", `{"from":null,"to":"+15550100001","hold":"60s","talk":"","sip_headers":{},"webhook":{"duplicates":1,"duplicate_after":"1ms"}}`)
	id := call["id"].(string)
	if call["state"] != "holding" || call["from"] != nil || call["rooms"] == nil || call["webhooks"] == nil {
		t.Fatalf("call %v", call)
	}
	w.until(id, "told twice", func(c sim.Call) bool { return len(c.Webhooks) == 2 })
	held := w.control(200, "GET", "/sim/calls/"+id, nil)
	hook := held["webhooks"].([]any)[0].(object)
	if hook["status"] != 200.0 || hook["took"] == "" || hook["at"] == nil || !strings.HasSuffix(held["held"].(string), "s") {
		t.Fatalf("call %v", held)
	}
	if answer := w.control(408, "GET", "/sim/calls/"+id+"?wait=connected&timeout=10ms", nil); answer["info"] != "the call is holding" {
		t.Fatalf("answer %v", answer)
	}
	w.control(200, "POST", "/sim/calls/"+id+"/hangup", nil)
	w.control(200, "POST", "/sim/calls/"+id+"/hangup", nil) // once more is no error
	ended := w.control(200, "GET", "/sim/calls/"+id+"?wait=connected,ended&timeout=10s", nil)
	if ended["state"] != "ended" || ended["why"] != "hung-up" {
		t.Fatalf("call %v", ended)
	}
	if l := w.control(200, "GET", "/sim/calls?state=ended", nil); l["total"] != 1.0 {
		t.Fatalf("calls %v", l)
	}
	if l := w.control(200, "GET", "/sim/calls?state=holding", nil); l["total"] != 0.0 {
		t.Fatalf("calls %v", l)
	}
}

func TestBadControlInputNamesTheField(t *testing.T) {
	w := start(t)
	for body, field := range map[string]string{
		`{"to":"+15550100001","hold":"long"}`: "hold",
		`{"to":"+15550100001","talk":"-5s"}`:  "talk",
		`{"to":"+15550100001","hold":5}`:      "hold",
		`{"to":7}`:                            "to",
		`{"too":"+1"}`:                        "too",
		`{}`:                                  "to",
		`{"to":"+19990000000"}`:               "to",
		`{"to":"+15550100001","webhook":{"delay":"x"}}`:         "webhook",
		`{"to":"+15550100001","webhook":{"duplicates":-1}}`:     "duplicates",
		`{"to":"+15550100001","sip_headers":{"X-Number":5}}`:    "sip_headers",
		`{"to":"+15550100001","webhook":{"duplicate":"twice"}}`: "duplicate",
		`[]`:  "object",
		`{`:   "JSON",
		`"x"`: "object",
	} {
		answer := w.control(400, "POST", "/sim/calls", body)
		if info, _ := answer["info"].(string); !strings.Contains(info, field) || answer["error"] == nil {
			t.Errorf("%s: %v", body, answer)
		}
	}
	for body, field := range map[string]string{
		`{"rest":[{"kind":"explode"}]}`:                          "rest[0].kind",
		`{"rest":[{"kind":"status","status":42}]}`:               "rest[0].status",
		`{"rest":[{"kind":"slow"}]}`:                             "rest[0].delay",
		`{"rest":[{"kind":"drop","when":"later"}]}`:              "rest[0].when",
		`{"rest":[{"kind":"drop","class":"x"}]}`:                 "rest[0].class",
		`{"rest":[{"kind":"drop"},{"kind":"drop","times":-1}]}`:  "rest[1].times",
		`{"rest":[{"kind":"drop","probability":2}]}`:             "rest[0].probability",
		`{"rest":[{"kind":"drop","match":"GET rooms"}]}`:         "rest[0].match",
		`{"events":{"lose":2}}`:                                  "events.lose",
		`{"dialin_webhook":{"reorder":-1}}`:                      "dialin_webhook.reorder",
		`{"dialin_webhook":{"duplicate_after":"soon"}}`:          "dialin_webhook",
		`{"rest":[{"kind":"drop"}],"weather":"bad"}`:             "weather",
		`{"rest":[{"kind":"slow","delay":"1s","when":"after"}}`:  "JSON",
		`{"rest":[{"kind":"slow","delay":"1s","whenever":"x"}]}`: "whenever",
	} {
		answer := w.control(400, "PUT", "/sim/faults", body)
		if info, _ := answer["info"].(string); !strings.Contains(info, field) {
			t.Errorf("%s: %v", body, answer)
		}
	}
	w.control(404, "GET", "/sim/calls/nobody", nil)
	w.control(404, "GET", "/sim/calls/nobody?wait=ended", nil)
	w.control(400, "GET", "/sim/calls/nobody?wait=soon", nil)
	w.control(400, "GET", "/sim/calls/nobody?wait=ended&timeout=soon", nil)
	w.control(404, "POST", "/sim/calls/nobody/hangup", nil)
	w.control(404, "GET", "/sim/weather", nil)
}

func TestFaultsOverTheControlAPI(t *testing.T) {
	w := start(t)
	set := w.control(200, "PUT", "/sim/faults", `{"rest":[{"match":"GET /rooms","kind":"status","status":503,"times":1}],"events":{"duplicate":0.5}}`)
	if set["rest"].([]any)[0].(object)["hits"] != 0.0 {
		t.Fatalf("faults %v", set)
	}
	w.want(503, "GET", "/rooms", nil)
	w.want(200, "GET", "/rooms", nil)
	now := w.control(200, "GET", "/sim/faults", nil)
	if now["rest"].([]any)[0].(object)["hits"] != 1.0 || now["events"].(object)["duplicate"] != 0.5 {
		t.Fatalf("faults %v", now)
	}
	if off := w.control(200, "PUT", "/sim/faults", `{}`); len(off["rest"].([]any)) != 0 {
		t.Fatalf("faults %v", off)
	}
}

func TestStatsCountBotsAndRequests(t *testing.T) {
	w := start(t)
	id, bot := w.connected("r", nil, sim.CallSpec{})
	second := w.bot(w.url + "/daily/r")
	second.leave()
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Bots.Live == 1 }); err != nil {
		t.Fatal(err)
	}
	w.want(404, "GET", "/rooms/x", nil)
	st := w.control(200, "GET", "/sim/stats", nil)
	bots, requests := st["bots"].(object), st["requests"].(object)
	if bots["live"] != 1.0 || bots["max_live"] != 2.0 || bots["list"].([]any)[0].(object)["session_id"] != bot.id {
		t.Errorf("bots %v", bots)
	}
	if requests["POST /rooms"].(object)["200"] != 1.0 || requests["GET /rooms/{name}"].(object)["404"] != 1.0 {
		t.Errorf("requests %v", requests)
	}
	if st["rooms"] != 1.0 || st["rooms_in_use"] != 1.0 || st["legs"] != 1.0 || st["calls"].(object)["connected"] != 1.0 || st["webhook"] != "ACTIVE" {
		t.Errorf("stats %v", st)
	}
	room := w.control(200, "GET", "/sim/rooms", nil)["data"].([]any)[0].(object)
	if room["name"] != "r" || room["in_use"] != true || room["sip_ready"] != true || room["calls"].([]any)[0] != id {
		t.Errorf("room %v", room)
	}
}

func TestLogsOfRequestsAndDeliveries(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.History = 3 })
	for range 8 {
		w.want(200, "GET", "/rooms", nil)
	}
	w.room("r", nil)
	all := w.control(200, "GET", "/sim/requests", nil)["data"].([]any)
	if len(all) != 3 || all[2].(object)["seq"] != 9.0 {
		t.Fatalf("log %v", all)
	}
	posts := w.control(200, "GET", "/sim/requests?method=POST&path=/rooms", nil)
	last := posts["data"].([]any)[0].(object)
	if posts["total"] != 1.0 || last["body"].(object)["name"] != "r" || last["status"] != 200.0 || last["acted"] != true {
		t.Fatalf("posts %v", posts)
	}
	if none := w.control(200, "GET", "/sim/requests?path=/dialin", nil); none["total"] != 0.0 {
		t.Fatalf("dialin %v", none)
	}
	id := w.ring(sim.CallSpec{})
	w.until(id, "told", func(c sim.Call) bool { return len(c.Webhooks) == 1 })
	sent := w.control(200, "GET", "/sim/deliveries?kind=dialin", nil)
	if d := sent["data"].([]any)[0].(object); sent["total"] != 1.0 || d["call_id"] != id || d["body"].(object)["callId"] != id {
		t.Fatalf("deliveries %v", sent)
	}
}

func TestOldCallsAreForgotten(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.History = 5 })
	first := w.ring(sim.CallSpec{})
	for range 20 {
		if err := w.Hangup(w.ring(sim.CallSpec{})); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.Calls()); n > 11 {
		t.Fatalf("%d calls are kept", n)
	}
	if c, ok := w.Call(first); !ok || c.State != sim.Holding {
		t.Fatalf("the held call is %+v, %v", c, ok)
	}
}

func TestRunOnceAndWaitersEndWithIt(t *testing.T) {
	s := sim.New(sim.Defaults())
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	waited := make(chan error, 1)
	go func() { waited <- s.WaitFor(context.Background(), func() bool { return false }) }()
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err == nil {
		t.Fatal("the waiter saw no end")
	}
	if err := s.Run(context.Background()); err == nil {
		t.Fatal("Run ran twice")
	}
	if _, err := s.WaitForCall(context.Background(), "nobody", nil); !errors.Is(err, sim.ErrNotFound) {
		t.Fatalf("error %v", err)
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Lifted = true })
	began := time.Now()
	const n = 100
	ids := map[string]bool{}
	for range n {
		ids[w.ring(sim.CallSpec{Hold: ms(500)})] = true
	}
	for _, g := range w.hook.until("/dialin", n, nil) {
		delete(ids, g.object["callId"].(string))
	}
	if len(ids) != 0 {
		t.Fatalf("%d calls were not told", len(ids))
	}
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Calls[sim.Ended] == n }); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > patience {
		t.Fatalf("took %s", took)
	}
}
