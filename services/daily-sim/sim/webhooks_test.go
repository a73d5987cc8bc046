// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func noWebhook(c *sim.Config) { c.Webhook = nil }

func (w *world) subscribe(change object) object {
	w.t.Helper()
	body := object{"url": w.hook.url + "/events", "eventTypes": []string{"participant.joined", "participant.left"}, "hmac": secret}
	for k, v := range change {
		body[k] = v
	}
	return w.want(200, "POST", "/webhooks", body)
}

func (w *world) untilHub(what string, cond func(object) bool) object {
	w.t.Helper()
	var h object
	err := w.WaitFor(w.ctx(), func() bool {
		status, raw := w.raw("GET", "/v1/webhooks", sim.Defaults().APIKey, nil)
		list := list(w.t, raw)
		if status == 200 && len(list) == 1 {
			h = list[0]
			return cond(h)
		}
		return false
	})
	if err != nil {
		w.t.Fatalf("waiting for the webhook to be %s: %v; it is %v", what, err, h)
	}
	return h
}

func TestWebhookIsTestedWhenItIsMade(t *testing.T) {
	w := start(t, noWebhook, func(c *sim.Config) { c.WebhookTestTimeout = ms(50) })
	for phrase, status := range map[string]int{"refusing": 500, "redirecting": 302, "not answering": 0} {
		w.hook.answer(func(string, int) int { return status })
		got, answer := w.rest("POST", "/webhooks", object{"url": w.hook.url + "/bad", "eventTypes": []string{"dialin.ready"}})
		if got != 400 || answer["error"] != "invalid-request-error" {
			t.Errorf("%s: %d %v", phrase, got, answer)
		}
	}
	w.hook.answer(nil)
	made := w.subscribe(object{"basicAuth": "YTpi"})
	test := w.hook.on("/events")[0]
	if string(test.body) != `{"test":"test"}` || test.header.Get("Authorization") != "Basic YTpi" {
		t.Fatalf("test %s %v", test.body, test.header)
	}
	for field, want := range map[string]any{
		"state": "ACTIVE", "retryType": "circuit-breaker", "failedCount": 0.0, "hmac": secret, "basicAuth": "YTpi",
		"domainId": sim.Defaults().DomainID, "lastMomentPushed": nil,
	} {
		if made[field] != want {
			t.Errorf("%s is %v, want %v", field, made[field], want)
		}
	}
}

func TestOneWebhookPerDomain(t *testing.T) {
	w := start(t, noWebhook)
	first := w.subscribe(nil)["uuid"].(string)
	w.want(400, "POST", "/webhooks", object{"url": w.hook.url, "eventTypes": []string{"dialin.ready"}})
	if got := w.want(200, "GET", "/webhooks/"+first, nil); got["uuid"] != first {
		t.Fatalf("webhook %v", got)
	}
	if status, raw := w.raw("DELETE", "/v1/webhooks/"+first, sim.Defaults().APIKey, nil); status != 200 || len(raw) != 0 {
		t.Fatalf("delete: %d %q", status, raw)
	}
	w.want(404, "GET", "/webhooks/"+first, nil)
	w.want(404, "POST", "/webhooks/"+first, object{})
	w.want(404, "DELETE", "/webhooks/"+first, nil)
	w.subscribe(nil)
}

func TestWebhooksRefused(t *testing.T) {
	w := start(t, noWebhook)
	for phrase, body := range map[string]object{
		"no url":             {"eventTypes": []string{"dialin.ready"}},
		"no event types":     {"url": w.hook.url},
		"unknown event type": {"url": w.hook.url, "eventTypes": []string{"dialin.gone"}},
		"unknown retry type": {"url": w.hook.url, "eventTypes": []string{"dialin.ready"}, "retryType": "never"},
		"hmac no base64":     {"url": w.hook.url, "eventTypes": []string{"dialin.ready"}, "hmac": "%"},
	} {
		if status, answer := w.rest("POST", "/webhooks", body); status != 400 {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
}

func TestOnlyWantedEventsAreSentInTheirEnvelope(t *testing.T) {
	w := start(t, noWebhook)
	w.subscribe(object{"eventTypes": []string{"participant.left"}})
	url, _ := w.room("r", nil)
	bot := w.bot(url)
	bot.leave()
	left := w.hook.event("participant.left")
	if left.object["version"] != "1.0.0" || left.object["id"] == "" || left.object["event_ts"].(float64) < 1e9 {
		t.Fatalf("envelope %v", left.object)
	}
	p := left.payload()
	for _, field := range []string{"joined_at", "session_id", "room", "user_id", "user_name", "owner", "networkQualityState", "permissions", "duration"} {
		if p[field] == nil {
			t.Errorf("no %s in %v", field, p)
		}
	}
	if _, there := p["will_eject_at"]; !there || p["session_id"] != bot.id || p["user_id"] != bot.id {
		t.Fatalf("payload %v", p)
	}
	if all := w.hook.on("/events"); len(all) != 2 { // the test and this one
		t.Fatalf("events %s", all)
	}
}

func TestPayloadTimestampsBySetting(t *testing.T) {
	for setting, isText := range map[string]bool{"string": true, "integer": false} {
		t.Run(setting, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.PayloadTimestamps = setting })
			w.connected("r", nil, sim.CallSpec{})
			stamp := w.hook.event("dialin.connected").payload()["timestamp"]
			if _, ok := stamp.(string); ok != isText || stamp == nil {
				t.Fatalf("timestamp %v (%T)", stamp, stamp)
			}
		})
	}
}

func TestCircuitBreakerTripsAtThreeInARow(t *testing.T) {
	w := start(t, noWebhook)
	id := w.subscribe(nil)["uuid"].(string)
	url, _ := w.room("r", nil)
	come := func(failed float64) {
		w.t.Helper()
		w.bot(url)
		w.untilHub("counting", func(h object) bool { return h["failedCount"] == failed })
	}
	w.hook.answer(func(string, int) int { return 503 })
	come(1)
	come(2)
	w.hook.answer(nil)
	come(0) // a success in between counts from the start
	w.hook.answer(func(string, int) int { return 503 })
	come(1)
	come(2)
	come(3)
	if h := w.untilHub("failed", func(h object) bool { return h["state"] == "FAILED" }); h["lastMomentPushed"] == nil {
		t.Fatalf("webhook %v", h)
	}
	if state := w.Stats().Webhook; state != "FAILED" {
		t.Fatalf("stats say %s", state)
	}
	w.hook.answer(nil)
	sent := len(w.hook.on("/events"))
	w.bot(url) // lost
	w.want(200, "POST", "/webhooks/"+id, object{})
	if all := w.hook.on("/events"); len(all) != sent+1 || string(all[sent].body) != `{"test":"test"}` {
		t.Fatalf("events while FAILED: %s", all[sent:])
	}
	come(0)
	w.hook.until("/events", sent+2, nil)
}

func TestWebhookIsNotRevivedByAFailingTest(t *testing.T) {
	w := start(t, noWebhook, func(c *sim.Config) { c.WebhookTrip = 1 })
	id := w.subscribe(nil)["uuid"].(string)
	url, _ := w.room("r", nil)
	w.hook.answer(func(string, int) int { return 503 })
	w.bot(url)
	w.untilHub("failed", func(h object) bool { return h["state"] == "FAILED" })
	w.want(400, "POST", "/webhooks/"+id, object{})
	w.untilHub("failed", func(h object) bool { return h["state"] == "FAILED" })
}

func TestExponentialTriesFiveTimesAndNeverTrips(t *testing.T) {
	w := start(t, noWebhook, func(c *sim.Config) { c.WebhookBackoff, c.WebhookBackoffMax = ms(1), ms(5) })
	w.subscribe(object{"retryType": "exponential", "eventTypes": []string{"participant.joined"}})
	w.hook.answer(func(string, int) int { return 503 })
	url, _ := w.room("r", nil)
	w.bot(url)
	tries := func() (list []sim.Delivery) {
		for _, d := range w.Deliveries() {
			if d.Kind == "event" {
				list = append(list, d)
			}
		}
		return list
	}
	if err := w.WaitFor(w.ctx(), func() bool { return len(tries()) == 5 }); err != nil {
		t.Fatal(err)
	}
	w.hook.answer(nil)
	w.bot(url)
	if err := w.WaitFor(w.ctx(), func() bool { return len(tries()) == 6 }); err != nil {
		t.Fatal(err)
	}
	for i, d := range tries() {
		if want := i%5 + 1; d.Try != want || (d.Status == 200) != (i == 5) {
			t.Errorf("try %d: %+v", i, d)
		}
	}
	w.untilHub("active", func(h object) bool { return h["state"] == "ACTIVE" })
}

func TestEventFaultsByProbability(t *testing.T) {
	for phrase, faults := range map[string]sim.WebhookFaults{
		"lose":             {Lose: 1},
		"duplicate":        {Duplicate: 1},
		"duplicate new id": {Duplicate: 1, DuplicateNewID: true},
		"delay":            {Delay: 1, DelayMax: ms(5)},
		"reorder":          {Reorder: 1, ReorderWithin: ms(60000)},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, noWebhook)
			w.subscribe(nil)
			if err := w.SetFaults(sim.Faults{Events: faults}); err != nil {
				t.Fatal(err)
			}
			url, _ := w.room("r", nil)
			bot := w.bot(url)
			bot.leave()
			switch phrase {
			case "lose":
				err := w.WaitFor(w.ctx(), func() bool {
					lost := 0
					for _, d := range w.Deliveries() {
						if d.Lost && d.URL != "" {
							lost++
						}
					}
					return lost == 2
				})
				if err != nil || len(w.hook.on("/events")) != 1 {
					t.Fatalf("%v, arrived %s", err, w.hook.on("/events"))
				}
			case "duplicate", "duplicate new id":
				both := w.hook.until("/events", 2, ofType("participant.left"))
				if same := both[0].object["id"] == both[1].object["id"]; same == faults.DuplicateNewID {
					t.Fatalf("ids %v %v", both[0].object["id"], both[1].object["id"])
				}
			case "reorder":
				all := w.hook.until("/events", 3, nil)
				if all[1].object["type"] != "participant.left" || all[2].object["type"] != "participant.joined" {
					t.Fatalf("order %s", all)
				}
			default:
				w.hook.event("participant.left")
			}
		})
	}
}

func TestMeetingEndedLagsAndABriefAbsenceGoesOnWithTheMeeting(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.MeetingEndedLag = ms(400) })
	url, _ := w.room("r", nil)
	w.bot(url).leave()
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Bots.Live == 0 }); err != nil {
		t.Fatal(err)
	}
	w.bot(url).leave()
	w.hook.event("meeting.ended")
	started := w.hook.until("/events", 1, ofType("meeting.started"))
	ended := w.hook.on("/events")
	ended = slices.DeleteFunc(ended, func(g got) bool { return g.object["type"] != "meeting.ended" })
	if len(started) != 1 || len(ended) != 1 || ended[0].payload()["meeting_id"] != started[0].payload()["meeting_id"] {
		t.Fatalf("started %s ended %s", started, ended)
	}
	end := ended[0].payload()["end_ts"].(float64)
	if lag := ended[0].object["event_ts"].(float64) - end; lag < 0.39 {
		t.Fatalf("meeting.ended came after %v s", lag)
	}
}

func TestPresenceLagsAndShowsGhosts(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.PresenceLagMin, c.PresenceLagMax = ms(300), ms(310) })
	url, _ := w.room("r", nil)
	count := func() float64 { return w.want(200, "GET", "/rooms/r/presence", nil)["total_count"].(float64) }
	bot, _, _ := w.enter(url, w.token(object{"user_id": "bot-1"}))
	joined := time.Now()
	if n := count(); n != 0 && time.Since(joined) < 250*time.Millisecond {
		t.Fatalf("seen at once: %v", n)
	}
	w.poll("seen", func() bool { return count() == 1 })
	if late := time.Since(joined); late < 250*time.Millisecond {
		t.Fatalf("seen after %s", late)
	}
	entry := w.want(200, "GET", "/presence", nil)["r"].([]any)[0].(object)
	if entry["id"] != bot.id || entry["userId"] != "bot-1" || entry["room"] != "r" || entry["mtgSessionId"] == nil ||
		!strings.HasSuffix(entry["joinTime"].(string), "Z") || entry["userName"] != "tester" {
		t.Fatalf("presence %v", entry)
	}
	if n := w.want(200, "GET", "/rooms/r/presence?userId=other", nil)["total_count"]; n != 0.0 {
		t.Fatalf("other user: %v", n)
	}
	bot.leave()
	if err := w.WaitFor(w.ctx(), func() bool { return w.Stats().Bots.Live == 0 }); err != nil {
		t.Fatal(err)
	}
	left := time.Now()
	if n := count(); n != 1 && time.Since(left) < 250*time.Millisecond {
		t.Fatalf("no ghost: %v", n)
	}
	w.poll("gone", func() bool { return count() == 0 })
	w.want(404, "GET", "/rooms/nobody/presence", nil)
}

// poll asks again and again, for what changes with time alone.
func (w *world) poll(what string, cond func() bool) {
	w.t.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	ctx := w.ctx()
	for !cond() {
		select {
		case <-every.C:
		case <-ctx.Done():
			w.t.Fatalf("never %s", what)
		}
	}
}

func TestMeetingsAreExact(t *testing.T) {
	w := start(t)
	id, bot := w.connected("r", nil, sim.CallSpec{})
	meetings := func(query string) []any {
		return w.want(200, "GET", "/meetings?"+query, nil)["data"].([]any)
	}
	now := meetings("ongoing=true&room=r")[0].(object)
	if now["ongoing"] != true || now["max_participants"] != 2.0 || len(now["participants"].([]any)) != 2 {
		t.Fatalf("meeting %v", now)
	}
	if err := w.Hangup(id); err != nil {
		t.Fatal(err)
	}
	bot.leave()
	w.hook.event("meeting.ended")
	then := w.want(200, "GET", "/meetings/"+now["id"].(string), nil)
	if then["ongoing"] != false || then["max_participants"] != 2.0 {
		t.Fatalf("meeting %v", then)
	}
	people := w.want(200, "GET", "/meetings/"+now["id"].(string)+"/participants", nil)["data"].([]any)
	if len(people) != 2 || people[0].(object)["participant_id"] != bot.id || people[0].(object)["join_time"] == nil {
		t.Fatalf("people %v", people)
	}
	for query, want := range map[string]int{
		"room=r": 1, "room=s": 0, "ongoing=true": 0, "timeframe_start=9999999999": 0, "timeframe_end=1000": 0, "timeframe_start=1000&limit=5": 1,
	} {
		if got := meetings(query); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	if m := meetings("no_participants=true")[0].(object); m["participants"] != nil {
		t.Errorf("meeting %v", m)
	}
	w.want(404, "GET", "/meetings/nobody", nil)
	w.want(400, "GET", "/meetings?timeframe_start=yesterday", nil)
}
