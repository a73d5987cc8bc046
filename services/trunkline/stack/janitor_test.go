// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// attentive has the janitor look often, at a presence that lags little.
func attentive(o *stack.Options) {
	o.Config.Daily.JanitorInterval, o.Config.Daily.PresenceSettle = 100*time.Millisecond, 800*time.Millisecond
	withSim(func(c *sim.Config) {
		c.PresenceLagMin, c.PresenceLagMax = sim.Duration(50*time.Millisecond), sim.Duration(150*time.Millisecond)
	})(o)
}

// deaf has every domain webhook lost.
func deaf(o *stack.Options) {
	withSim(func(c *sim.Config) { c.Faults.Events.Lose = 1 })(o)
}

func TestAHangUpWhoseWebhookIsLostIsFound(t *testing.T) {
	w := start(t, bot(1, "--outstay"), attentive, deaf)
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	story := w.state(phone)
	for len(story.Legs) == 0 { // until the janitor has seen the leg
		story = w.state(phone)
	}
	if err := w.Sim.Hangup(phone.ID); err != nil {
		t.Fatal(err)
	}
	s := w.cleared(phone)
	if s.Ended.Data.GetReason() != "caller_hung_up" || s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED {
		t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
	}
	w.idle()
}

func TestWhoIsStillInTheRoomOfACallThatIsOverIsSentOut(t *testing.T) {
	w := start(t, bot(1), attentive)
	phone := w.ended(w.connected(w.place(sim.CallSpec{From: caller, Talk: short})))
	s := w.cleared(phone)

	// Somebody comes back to the room, with the account's key: a leg whose webhook tells nothing to the record.
	room := s.Attempt(1).Room
	token, err := daily.MeetingToken{Room: room.GetRoom(), DomainID: sim.Defaults().DomainID, Expires: time.Now().Add(time.Minute)}.Sign(w.Secrets.DailyAPIKey.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"token": token, "user_name": "late"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(room.GetRoomUrl()+"/join", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for line := json.NewDecoder(res.Body); ; {
		var told struct{ Event string }
		if err := line.Decode(&told); err != nil {
			t.Fatalf("the room's stream ended without a word: %v", err)
		}
		if told.Event == "ejected" {
			return
		}
	}
}
