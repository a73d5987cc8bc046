// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// DialOut is somebody whom Trunkline was asked to call.
type DialOut struct {
	ID string // of the call, on the record
	To string
}

// MayCall lets the world ask for dial-outs, at call-control's address. From then on half of those who come are called.
func (w *World) MayCall(control string) {
	w.T.Helper()
	w.control = controlv1connect.NewCallServiceClient(http.DefaultClient, control, connect.WithInterceptors(w.Key(auth.CallsWrite)))
}

// Key makes an API key with a scope, of which the scope is the name, and gives every request of a client the key.
func (w *World) Key(scope string) connect.Interceptor {
	w.T.Helper()
	keys, err := auth.Open(w.T.Context(), w.JS)
	if err != nil {
		w.T.Fatal(err)
	}
	key, err := keys.Add(w.T.Context(), strings.ReplaceAll(scope, ":", "-"), scope)
	if err != nil {
		w.T.Fatal(err)
	}
	return auth.Bearer(key)
}

// CallOut has somebody called. While nobody is there to be asked, it asks again, with the same key.
func (w *World) CallOut(req *controlv1.StartCallRequest) (d DialOut, err error) {
	left := w.await(w.Patience, 100*time.Millisecond, func() string {
		ctx, cancel := context.WithTimeout(w.T.Context(), 5*time.Second)
		defer cancel()
		var res *controlv1.StartCallResponse
		res, err = w.control.StartCall(ctx, req)
		switch connect.CodeOf(err) {
		case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled:
			return err.Error()
		}
		d = DialOut{ID: res.GetCall().GetId(), To: req.GetTo()}
		return ""
	})
	if left != "" || err != nil {
		return d, fmt.Errorf("call %s: %w", req.GetTo(), err)
	}
	return d, nil
}

// called has the i-th person called, who answers; a fourth of them only when they are called again.
func (w *World) called(i int, talk time.Duration) (DialOut, error) {
	to := fmt.Sprintf("+1415556%04d", i%10000)
	does := []sim.Behaviour{{Does: sim.DoesAnswer, After: sim.Duration(500 * time.Millisecond), Talk: sim.Duration(talk)}}
	req := &controlv1.StartCallRequest{IdempotencyKey: fmt.Sprint("storm ", i), To: to, Agent: "agent", Retry: &controlv1.RetryPolicy{}}
	if i%4 == 0 {
		does = append([]sim.Behaviour{{Does: sim.DoesBusy}}, does...)
		for _, cause := range []string{"not_answered", "no_answer"} { // the latter where nobody told that it was busy
			req.Retry.Causes = append(req.Retry.Causes, &controlv1.Retry{Cause: cause, Delay: durationpb.New(time.Second), Limit: 1})
		}
	}
	if err := w.Sim.SetCallee(sim.Callee{Number: to, Dials: does}); err != nil {
		return DialOut{}, err
	}
	d, err := w.CallOut(req)
	if err == nil {
		w.mu.Lock()
		w.dialOuts = append(w.dialOuts, d)
		w.mu.Unlock()
	}
	return d, err
}

// Called are those whom Trunkline was asked to call so far.
func (w *World) Called() []DialOut {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dialOuts)
}

// DialsOf gives how often a person was called, oldest first.
func (w *World) DialsOf(d DialOut) []sim.Dial {
	return slices.DeleteFunc(w.Sim.Dials(), func(dial sim.Dial) bool { return dial.To != d.To })
}

// Twice gives the attempts of a call for which somebody was called more than once.
func (w *World) Twice(d DialOut) (wrong []string) {
	times := map[string]int{}
	for _, dial := range w.DialsOf(d) {
		times[dial.Room]++
	}
	for room, n := range times {
		if n > 1 {
			wrong = append(wrong, fmt.Sprintf("call %s: dialled %d times from room %s\n%s", d.ID, n, room, w.Story(d.ID)))
		}
	}
	return wrong
}

// checkCalled gives what is wrong with a call to somebody who would answer.
func (w *World) checkCalled(d DialOut, patience time.Duration) (wrong []string) {
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("call %s %s\n%s", d.ID, fmt.Sprintf(format, args...), w.Story(d.ID)))
	}
	if !w.ended(d.ID, patience) {
		say("has not ended")
		return wrong
	}
	story, err := w.Bus.Story(w.T.Context(), d.ID)
	if err != nil {
		return []string{err.Error()}
	}
	wrong = append(wrong, w.Twice(d)...)
	s, dials := call.Read(story), w.DialsOf(d)
	end := s.Ended.Data
	answered := slices.IndexFunc(dials, func(dial sim.Dial) bool { return dial.AnsweredAt != nil })
	for _, dial := range dials {
		if _, n, ok := call.ParseRoom(dial.Room); !ok || s.Attempt(n).Dial == nil {
			say("was dialled from room %s, and nobody meant it", dial.Room)
		}
	}
	last := s.Current()
	lost := last.DialFailed.GetCause() == call.Lost && end.GetOutcome() == callv1.Outcome_OUTCOME_FAILED
	switch {
	case lost && last.Dialled != nil:
		say("was given up as lost, and Daily has said that it dials")
	case lost && answered >= 0 && w.told(dials[answered], s.Ended.At):
		say("was given up as lost, and the answer was told")
	case lost:
	case answered < 0:
		say("never reached anybody: %s", end)
	case !w.told(dials[answered], s.Ended.At): // then nobody can know that somebody talks
	case end.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED:
		say("was answered, and ended with %s", end)
	case dials[answered].Why != "hung-up":
		say("was cut off: %s", dials[answered].Why)
	}
	return wrong
}

// told reports whether Daily's word of an answer has come through before the call was over.
func (w *World) told(dial sim.Dial, before time.Time) bool {
	return slices.ContainsFunc(w.Sim.Deliveries(), func(d sim.Delivery) bool {
		var body struct {
			Payload struct {
				Session string `json:"session_id"`
			} `json:"payload"`
		}
		return d.Type == "dialout.answered" && d.Status == http.StatusOK && d.At.Before(before) &&
			json.Unmarshal(d.Body, &body) == nil && body.Payload.Session == dial.ID
	})
}
