// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"strings"
	"testing"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func TestBotDialsAndStopsByItself(t *testing.T) {
	w := start(t)
	bot := w.dialRoom("r", nil)
	ask := func(body object) (int, object) { return w.send("POST", "/daily/r/dialout/start", "", body) }
	status, answer := ask(object{"session_id": bot.id, "settings": object{"phoneNumber": callee, "displayName": callee}})
	if status != 200 {
		t.Fatalf("%d %v", status, answer)
	}
	id := answer["sessionId"].(string)
	bot.wait("dialout-answered")
	if d := w.is(id, "answered"); d["by"] != "bot" {
		t.Fatalf("dial %v", d)
	}
	if status, answer := w.send("POST", "/daily/r/dialout/stop", "", object{"session_id": bot.id, "participant_id": id}); status != 200 {
		t.Fatalf("stop: %d %v", status, answer)
	}
	bot.wait("dialout-stopped")

	guest, _, _ := w.enter(w.url+"/daily/r", "")
	for phrase, c := range map[string]struct {
		body   object
		status int
		info   string
	}{
		"not in the room":      {object{"session_id": "x", "settings": object{"phoneNumber": callee}}, 404, "session_id"},
		"no owner":             {object{"session_id": guest.id, "settings": object{"phoneNumber": callee}}, 403, "owner"},
		"no settings":          {object{"session_id": bot.id}, 400, "exactly one"},
		"an unknown field":     {object{"session_id": bot.id, "phoneNumber": callee}, 400, "phoneNumber"},
		"an unknown caller id": {object{"session_id": bot.id, "settings": object{"phoneNumber": callee, "callerId": "x"}}, 400, "callerId"},
	} {
		if status, answer := ask(c.body); status != c.status || !strings.Contains(answer["info"].(string), c.info) {
			t.Errorf("%s: %d %v", phrase, status, answer)
		}
	}
	if status, _ := w.send("POST", "/daily/r/dialout/stop", "", object{"session_id": bot.id, "participant_id": id}); status != 404 {
		t.Errorf("stopped twice: %d", status)
	}
}

// A start that fails is told to who asked, and to nobody else.
func TestFailedStartOfABotIsAReturnOnly(t *testing.T) {
	w := start(t)
	bot := w.dialRoom("r", nil)
	w.does(callee, sim.Behaviour{Does: "start-error", Text: "no workers"}, sim.Behaviour{})
	body := object{"session_id": bot.id, "settings": object{"phoneNumber": callee}}
	if status, answer := w.send("POST", "/daily/r/dialout/start", "", body); status != 400 || answer["info"] != "no workers" {
		t.Fatalf("%d %v", status, answer)
	}
	if status, _ := w.send("POST", "/daily/r/dialout/start", "", body); status != 200 {
		t.Fatalf("%d", status)
	}
	if told := strings.Join(bot.told("dialout-answered"), " "); told != "connected answered" {
		t.Fatalf("told %s", told)
	}
}
