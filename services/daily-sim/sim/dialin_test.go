// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func TestTimestampUnitBySetting(t *testing.T) {
	for unit, perSecond := range map[string]int64{"ms": 1000, "s": 1} {
		t.Run(unit, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.PinlessTimestamp, c.WebhookTimestamp = unit, unit })
			before := time.Now()
			w.connected("r", nil, sim.CallSpec{})
			for path, headers := range map[string][2]string{
				"/dialin": {daily.HeaderPinlessTimestamp, daily.HeaderPinlessSignature},
				"/events": {daily.HeaderWebhookTimestamp, daily.HeaderWebhookSignature},
			} {
				g := w.hook.until(path, 1, nil)[0]
				stamp := g.header.Get(headers[0])
				at, err := strconv.ParseInt(stamp, 10, 64)
				if err != nil || at/perSecond < before.Unix() || at/perSecond > before.Unix()+60 {
					t.Errorf("%s: timestamp %q", path, stamp)
				}
				want, err := daily.Sign(secret, stamp, g.body)
				if err != nil || g.header.Get(headers[1]) != want {
					t.Errorf("%s: signature %q, want %q (%v)", path, g.header.Get(headers[1]), want, err)
				}
			}
		})
	}
}

func TestAnonymousCallerBySetting(t *testing.T) {
	for setting, want := range map[string]string{"null": `"From":null`, "empty": `"From":""`} {
		t.Run(setting, func(t *testing.T) {
			w := start(t, func(c *sim.Config) { c.AnonymousFrom = setting })
			w.ring(sim.CallSpec{})
			if g := w.hook.until("/dialin", 1, nil)[0]; !strings.Contains(string(g.body), want) {
				t.Fatalf("webhook %s", g.body)
			}
		})
	}
}

func TestDialinWebhookIsNotRepeatedByDefault(t *testing.T) {
	w := start(t)
	w.hook.answer(func(string, int) int { return 500 })
	id := w.ring(sim.CallSpec{Hold: ms(100)})
	c := w.untilState(id, sim.Ended)
	if len(c.Webhooks) != 1 || c.Webhooks[0].Status != 500 || c.Why != "gave-up" {
		t.Fatalf("call %+v", c)
	}
}

func TestDialinWebhookIsRepeatedBySetting(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.DialinWebhookRetries, c.DialinWebhookBackoff = 3, ms(1) })
	w.hook.answer(func(_ string, n int) int {
		if n < 3 {
			return 500
		}
		return 200
	})
	id := w.ring(sim.CallSpec{})
	c := w.until(id, "told", func(c sim.Call) bool { return len(c.Webhooks) == 3 })
	for i, d := range c.Webhooks {
		if d.Try != i+1 || d.Kind != "dialin" || (d.Status == 200) != (i == 2) {
			t.Fatalf("webhook %d: %+v", i, d)
		}
	}
}

func TestSlowHandlerTimesOut(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.DialinWebhookTimeout = ms(30) })
	w.hook.answer(func(string, int) int { return 0 })
	id := w.ring(sim.CallSpec{})
	c := w.until(id, "given up on", func(c sim.Call) bool { return len(c.Webhooks) == 1 })
	if d := c.Webhooks[0]; d.Status != 0 || !strings.Contains(d.Error, "deadline") || d.Took.Std() < 30*time.Millisecond {
		t.Fatalf("webhook %+v", d)
	}
}

func TestOneCallsWebhookLateDoubledOrLost(t *testing.T) {
	for phrase, c := range map[string]struct {
		wish   sim.CallWebhook
		posted int
	}{
		"doubled": {sim.CallWebhook{Duplicates: 2, DuplicateAfter: ms(10)}, 3},
		"late":    {sim.CallWebhook{Delay: ms(50)}, 1},
		"lost":    {sim.CallWebhook{Lose: true}, 0},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			id := w.ring(sim.CallSpec{Webhook: c.wish})
			call := w.until(id, "told", func(x sim.Call) bool { return len(x.Webhooks) >= max(1, c.posted) })
			if c.posted == 0 && !call.Webhooks[0].Lost {
				t.Fatalf("webhooks %+v", call.Webhooks)
			}
			if late := call.Webhooks[0].At.Sub(call.StartedAt); late < c.wish.Delay.Std() {
				t.Fatalf("sent after %s", late)
			}
			for _, g := range w.hook.until("/dialin", c.posted, nil) {
				if g.object["callId"] != id {
					t.Fatalf("webhook %s", g.body)
				}
			}
			if c.posted > 1 && (call.Webhooks[0].Duplicate || !call.Webhooks[1].Duplicate) {
				t.Fatalf("webhooks %+v", call.Webhooks)
			}
		})
	}
}

func TestDialinFaultsByProbability(t *testing.T) {
	for phrase, c := range map[string]struct {
		faults sim.WebhookFaults
		posted int
	}{
		"lose":      {sim.WebhookFaults{Lose: 1}, 0},
		"duplicate": {sim.WebhookFaults{Duplicate: 1, DuplicateAfter: ms(1)}, 2},
		"delay":     {sim.WebhookFaults{Delay: 1, DelayMax: ms(20)}, 1},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			if err := w.SetFaults(sim.Faults{DialinWebhook: c.faults}); err != nil {
				t.Fatal(err)
			}
			id := w.ring(sim.CallSpec{})
			call := w.until(id, "told", func(x sim.Call) bool { return len(x.Webhooks) >= max(1, c.posted) })
			if call.Webhooks[0].Lost != (c.posted == 0) {
				t.Fatalf("webhooks %+v", call.Webhooks)
			}
			w.hook.until("/dialin", c.posted, nil)
		})
	}
}

func TestReorderLetsTheNextOneOvertake(t *testing.T) {
	w := start(t)
	if err := w.SetFaults(sim.Faults{DialinWebhook: sim.WebhookFaults{Reorder: 1, ReorderWithin: ms(60000)}}); err != nil {
		t.Fatal(err)
	}
	first := w.ring(sim.CallSpec{})
	second := w.ring(sim.CallSpec{})
	got := w.hook.until("/dialin", 2, nil)
	if got[0].object["callId"] != second || got[1].object["callId"] != first {
		t.Fatalf("order %s", got)
	}
	if err := w.SetFaults(sim.Faults{DialinWebhook: sim.WebhookFaults{Reorder: 1, ReorderWithin: ms(10)}}); err != nil {
		t.Fatal(err)
	}
	w.ring(sim.CallSpec{}) // nobody follows: it is sent all the same
	w.hook.until("/dialin", 3, nil)
}

func TestNumberWithoutAConfigIsRefused(t *testing.T) {
	w := start(t)
	if _, err := w.PlaceCall(sim.CallSpec{To: "+19998887777"}); err == nil || !strings.Contains(err.Error(), "to:") {
		t.Fatalf("error %v", err)
	}
}

func TestStarStandsForEveryOtherNumber(t *testing.T) {
	w := start(t, func(c *sim.Config) {
		c.Numbers = append(c.Numbers, sim.Number{Number: "*", WebhookURL: strings.TrimSuffix(c.Webhook.URL, "/events") + "/any"})
	})
	id := w.ring(sim.CallSpec{To: "+19998887777"})
	if g := w.hook.until("/any", 1, nil)[0]; g.object["callId"] != id {
		t.Fatalf("webhook %s", g.body)
	}
	if list := w.want(200, "GET", "/domain-dialin-config", nil); list["total_count"] != 1.0 {
		t.Fatalf("the API shows %v", list)
	}
}

func TestDialinConfigsFlatAndNested(t *testing.T) {
	for phrase, wrap := range map[string]func(object) object{
		"flat": func(fields object) object { fields["type"] = "pinless_dialin"; return fields },
		"nested": func(fields object) object {
			return object{"type": "pinless_dialin", "config": fields}
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			made := w.want(200, "POST", "/domain-dialin-config", wrap(object{"phone_number": "+15552223333", "room_creation_api": w.hook.url + "/mine"}))
			config := made["config"].(object)
			if _, err := base64.StdEncoding.DecodeString(config["hmac"].(string)); err != nil || config["hmac"] == "" || config["sip_uri"] == nil {
				t.Fatalf("made %v", made)
			}
			ping := w.hook.until("/mine", 1, nil)[0]
			if string(ping.body) != `{"Test":"test"}` || ping.header.Get(daily.HeaderPinlessSignature) != "" {
				t.Fatalf("ping %s %v", ping.body, ping.header)
			}
			id := w.ring(sim.CallSpec{To: "+15552223333"})
			call := w.hook.until("/mine", 2, nil)[1]
			want, _ := daily.Sign(config["hmac"].(string), call.header.Get(daily.HeaderPinlessTimestamp), call.body)
			if call.object["callId"] != id || call.header.Get(daily.HeaderPinlessSignature) != want {
				t.Fatalf("webhook %s", call.body)
			}
		})
	}
}

func TestStaticSIPAddressRings(t *testing.T) {
	w := start(t)
	made := w.want(200, "POST", "/domain-dialin-config", object{"type": "pinless_dialin", "room_creation_api": w.hook.url + "/sip"})
	w.hook.until("/sip", 1, nil)
	uri := "sip:" + made["config"].(object)["sip_uri"].(string)
	id := w.ring(sim.CallSpec{From: "sip:ann@example.com", To: uri})
	if g := w.hook.until("/sip", 2, nil)[1]; g.object["callId"] != id || g.object["To"] != uri {
		t.Fatalf("webhook %s", g.body)
	}
}

func TestTestPingBySettings(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.TestPingKey, c.SignTestPings = "test", true })
	w.hook.answer(func(string, int) int { return 500 }) // the config is saved all the same
	made := w.want(200, "POST", "/domain-dialin-config", object{"type": "pinless_dialin", "room_creation_api": w.hook.url + "/x", "hmac": secret})
	ping := w.hook.until("/x", 1, nil)[0]
	want, _ := daily.Sign(secret, ping.header.Get(daily.HeaderPinlessTimestamp), ping.body)
	if string(ping.body) != `{"test":"test"}` || ping.header.Get(daily.HeaderPinlessSignature) != want {
		t.Fatalf("ping %s %v", ping.body, ping.header)
	}
	w.want(200, "GET", "/domain-dialin-config/"+made["id"].(string), nil)
}

func TestDialinConfigLife(t *testing.T) {
	w := start(t)
	make := func(n string) string {
		return w.want(200, "POST", "/domain-dialin-config", object{"type": "pinless_dialin", "phone_number": n, "room_creation_api": w.hook.url + "/x"})["id"].(string)
	}
	id := make("+15552223333")
	make("+15552224444")
	for phrase, body := range map[string]object{
		"number taken":               {"type": "pinless_dialin", "phone_number": "+15552223333", "room_creation_api": "http://x"},
		"number taken, other type":   {"type": "pin_dialin", "phone_number": "+15552223333"},
		"number taken by a setting":  {"type": "pinless_dialin", "phone_number": number, "room_creation_api": "http://x"},
		"pin without a number":       {"type": "pin_dialin"},
		"pinless without a webhook":  {"type": "pinless_dialin", "phone_number": "+15550009999"},
		"no type":                    {"phone_number": "+15550009999", "room_creation_api": "http://x"},
		"greeting for pinless":       {"type": "pinless_dialin", "room_creation_api": "http://x", "ivr_greeting": object{"message": "hi"}},
		"hmac no base64":             {"type": "pinless_dialin", "room_creation_api": "http://x", "hmac": "%%"},
		"number not in E.164 format": {"type": "pinless_dialin", "room_creation_api": "http://x", "phone_number": "555"},
	} {
		if status, answer := w.rest("POST", "/domain-dialin-config", body); status != 400 || answer["error"] != "invalid-request-error" {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if list := w.want(200, "GET", "/domain-dialin-config?phone_number=%2B15552223333", nil); list["total_count"] != 1.0 ||
		list["data"].([]any)[0].(object)["id"] != id {
		t.Fatalf("list %v", list)
	}
	w.want(400, "PUT", "/domain-dialin-config/"+id, object{"phone_number": "+15552224444"})
	w.want(400, "PUT", "/domain-dialin-config/"+id, object{"type": "pin_dialin"})
	changed := w.want(200, "PUT", "/domain-dialin-config/"+id, object{"config": object{"name_prefix": "front", "hmac": secret}})
	if c := changed["config"].(object); c["name_prefix"] != "front" || c["hmac"] != secret || c["phone_number"] != "+15552223333" {
		t.Fatalf("changed %v", changed)
	}
	if answer := w.want(200, "DELETE", "/domain-dialin-config/"+id, nil); answer["status"] == nil {
		t.Fatalf("answer %v", answer)
	}
	w.want(404, "DELETE", "/domain-dialin-config/"+id, nil)
	w.want(404, "GET", "/domain-dialin-config/"+id, nil)
	make("+15552223333")
}

func TestDomainArrayReplacesTheList(t *testing.T) {
	w := start(t)
	domain := w.want(200, "GET", "/", nil)
	if domain["domain_id"] != sim.Defaults().DomainID || domain["domain_name"] != sim.Defaults().Domain {
		t.Fatalf("domain %v", domain)
	}
	set := func(items ...object) []any {
		answer := w.want(200, "POST", "/", object{"properties": object{"pinless_dialin": items}})
		list, _ := answer["config"].(object)["pinless_dialin"].([]any)
		return list
	}
	one := set(object{"phone_number": "+15552223333", "room_creation_api": w.hook.url + "/x"})
	two := set(object{"phone_number": "+15552223333", "room_creation_api": w.hook.url + "/x"})
	if len(two) != 1 || one[0].(object)["hmac"] == two[0].(object)["hmac"] || two[0].(object)["sip_uri"] == nil {
		t.Fatalf("lists %v %v", one, two)
	}
	if list := w.want(200, "GET", "/domain-dialin-config", nil); list["total_count"] != 1.0 {
		t.Fatalf("list %v", list)
	}
	w.hook.until("/x", 2, nil) // the pings
	if _, err := w.PlaceCall(sim.CallSpec{To: number}); err == nil {
		t.Fatal("the number that was left out still rings")
	}
	twice := object{"phone_number": "+15552223333", "room_creation_api": w.hook.url}
	w.want(400, "POST", "/", object{"properties": object{"pinless_dialin": []object{twice, twice}}})
	w.want(400, "POST", "/", object{"properties": object{"pinless_dialin": "x"}})
	answer := w.want(200, "POST", "/", object{"properties": object{"pinless_dialin": nil, "lang": "de"}})
	if c := answer["config"].(object); c["pinless_dialin"] != nil || c["lang"] != "de" {
		t.Fatalf("domain %v", answer)
	}
}

func TestNumberIsNotReleasedInItsFirstDays(t *testing.T) {
	w := start(t)
	bought := w.want(200, "POST", "/buy-phone-number", object{"number": "+15557778888"})
	answer := w.want(400, "DELETE", "/release-phone-number/"+bought["id"].(string), nil)
	if answer["info"] != "Failed to release new number, try again in 14 days" {
		t.Fatalf("answer %v", answer)
	}
	w.want(400, "POST", "/buy-phone-number", object{"number": "+15557778888"})
	list := w.want(200, "GET", "/purchased-phone-numbers?filter_number=%2B15550100001", nil)
	old := list["data"].([]any)[0].(object)["id"].(string)
	w.want(200, "DELETE", "/release-phone-number/"+old, nil)
	w.want(404, "DELETE", "/release-phone-number/"+old, nil)
	if _, err := w.PlaceCall(sim.CallSpec{To: number}); err == nil {
		t.Fatal("a released number still rings")
	}
}
