// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// The answer to the first create is lost, and the second meets the room of the first.
func TestARoomWhoseAnswerWasLostIsTaken(t *testing.T) {
	for phrase, fault := range map[string]sim.Fault{
		"the connection breaks": {Kind: "drop"},
		"500":                   {Kind: "status", Status: 500},
		"garbage":               {Kind: "garbage"},
		"nothing but a 200":     {Kind: "empty"},
	} {
		t.Run(phrase, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(1))
			fault.Match, fault.When, fault.Times = "POST /rooms", "after", 1
			w.faults(fault)
			phone := w.place(sim.CallSpec{From: caller, Talk: short})
			w.sound(phone)
			if s := w.state(phone); len(s.Attempts) != 1 || w.Sim.Stats().Rooms != 1 {
				t.Errorf("%d attempts in %d rooms\n%s", len(s.Attempts), w.Sim.Stats().Rooms, w.told(phone))
			}
		})
	}
}

// Somebody with the account's key has made a room of the name before the call came.
func TestARoomThatIsThereAlreadyIsTaken(t *testing.T) {
	sip := &daily.SIP{DisplayName: "somebody", Mode: daily.SIPDialIn}
	for phrase, c := range map[string]struct {
		sip      *daily.SIP
		expires  bool
		attempts int
	}{
		"one that takes calls":               {sip, false, 1},
		"one that cannot take calls":         {nil, false, 2},
		"one that has expired, not its name": {sip, true, 2},
	} {
		t.Run(phrase, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(2))
			phone := w.place(sim.CallSpec{From: caller, Talk: short, Webhook: sim.CallWebhook{Lose: true}})
			account := &daily.Client{BaseURL: w.Config.Daily.APIURL, APIKey: w.Secrets.DailyAPIKey.Reveal()}
			name := call.RoomName(w.id(phone), 1)
			properties := daily.RoomProperties{SIP: c.sip}
			if c.expires {
				properties.Exp = time.Now().Add(2 * time.Second).Unix()
			}
			if _, err := account.CreateRoom(t.Context(), daily.CreateRoom{Name: name, Properties: properties}); err != nil {
				t.Fatal(err)
			}
			for there := c.expires; there; time.Sleep(50 * time.Millisecond) {
				_, err := account.GetRoom(t.Context(), name)
				there = !errors.Is(err, daily.ErrNotFound)
			}
			if status, info := w.deliver(dialin(t, phone), time.Now()); status != http.StatusOK {
				t.Fatalf("%d %s", status, info)
			}
			w.sound(phone)
			s := w.state(phone)
			if len(s.Attempts) != c.attempts {
				t.Errorf("%d attempts\n%s", len(s.Attempts), w.told(phone))
			}
			if sign := s.Current().Ready.GetSign(); sign != callv1.Sign_SIGN_FORWARD_ASKED {
				t.Errorf("the bot's own wish for the caller was refused: the sign is %s", sign)
			}
		})
	}
}
