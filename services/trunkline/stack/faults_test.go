// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// forwardRequest is the request that patches a caller in.
const forwardRequest = "POST /dialin/pinlessCallUpdate"

// settlesWithin has a sign of a forward in doubt waited for so long only, at a presence that lags as much less as
// Daily's does.
func settlesWithin(d time.Duration) func(*stack.Options) {
	return func(o *stack.Options) {
		o.Config.Daily.PresenceSettle, o.Config.Daily.JanitorInterval = 2*d, d/2
		withSim(func(c *sim.Config) {
			c.PresenceLagMin, c.PresenceLagMax = sim.Duration(d/3), sim.Duration(d*5/6)
		})(o)
	}
}

// noDomainWebhook has Daily tell nothing of what happens in rooms.
func noDomainWebhook(o *stack.Options) { o.NoDomainWebhook = true }

// faults are what goes wrong from now on, in place of what did.
func (w *world) faults(rest ...sim.Fault) {
	if err := w.Sim.SetFaults(sim.Faults{REST: rest}); err != nil {
		w.t.Error(err)
	}
}

// sound waits until calls with one talk each are over, and checks what must hold of every one of them: one leg in one
// room, one forward, one end, and nothing left.
func (w *world) sound(phones ...sim.Call) {
	w.t.Helper()
	for _, phone := range phones {
		phone = w.ended(phone)
		s := w.cleared(phone)
		if phone.Legs != 1 || len(phone.Rooms) != 1 || phone.Forwards != 1 || phone.Why != "hung-up" {
			w.t.Errorf("the caller had %d legs in %v after %d forwards, and ended because of %s\n%s", phone.Legs, phone.Rooms, phone.Forwards, phone.Why, w.told(phone))
		}
		if s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED {
			w.t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
		}
		if n := w.count(phone, "CallEnded"); n != 1 {
			w.t.Errorf("%d ends", n)
		}
	}
	w.clean()
}

// clean waits until nothing is left of any call, and checks that nothing could not be handled.
func (w *world) clean() {
	w.t.Helper()
	w.idle()
	letters, err := bus.ListDeadLetters(w.t.Context(), w.JS)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, letter := range letters {
		w.t.Errorf("a dead letter: %+v", letter)
	}
}

// settled waits until the record knows what became of the forward.
func (w *world) settled(phone sim.Call) {
	w.t.Helper()
	for w.state(phone).Forwarded == nil {
		if w.t.Context().Err() != nil || w.state(phone).Ended != nil {
			w.t.Fatalf("the record does not say that the caller was forwarded\n%s", w.told(phone))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// count counts a call's events of one name.
func (w *world) count(phone sim.Call, name string) (n int) {
	w.t.Helper()
	story, err := w.bus.Story(w.t.Context(), w.id(phone))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range story.Events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// forwards are the requests to forward the caller, in the order in which they were answered.
func (w *world) forwards(phone sim.Call) (all []sim.Request) {
	w.t.Helper()
	for _, r := range w.Sim.Requests() {
		var body struct{ CallID string }
		if r.Method+" "+r.Path == forwardRequest && json.Unmarshal(r.Body, &body) == nil && body.CallID == phone.ID {
			all = append(all, r)
		}
	}
	return all
}

// dialin is what Daily's webhook says of a phone's call.
func dialin(t *testing.T, phone sim.Call) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"To": phone.To, "From": phone.From, "callId": phone.ID, "callDomain": phone.CallDomain})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// deliver brings a dial-in webhook as one who has the secret and that clock would, and gives the answer.
func (w *world) deliver(body []byte, clock time.Time) (status int, info string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.URLs["ingress"]+w.Config.Ingress.DialinPaths[0], bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	sign(w.t, req, daily.HeaderPinlessSignature, daily.HeaderPinlessTimestamp, w.Secrets.DailyPinlessHMAC[0].Reveal(), body, clock)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Info string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, answer.Info
}

func sign(t *testing.T, req *http.Request, signatureHeader, timestampHeader, secret string, body []byte, clock time.Time) {
	t.Helper()
	timestamp := strconv.FormatInt(clock.UnixMilli(), 10)
	signature, err := daily.Sign(secret, timestamp, body)
	if err != nil {
		t.Error(err)
	}
	req.Header.Set(signatureHeader, signature)
	req.Header.Set(timestampHeader, timestamp)
}
