// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

const callee = "+14155550199"

// withPolicy lets everybody in the US be called, as often as anybody likes.
func withPolicy(change ...func(*stack.Options)) []func(*stack.Options) {
	return append([]func(*stack.Options){func(o *stack.Options) {
		o.Config.Policy.Countries, o.Config.Policy.PerSecond, o.Config.Policy.PerNumber.Calls = []string{"US"}, 1000, 0
		o.Config.Dialout.Retries = nil
	}}, change...)
}

// starts has somebody called.
func (w *world) starts(req *controlv1.StartCallRequest) *controlv1.Call {
	w.t.Helper()
	res, err := w.Control().StartCall(w.t.Context(), want(req))
	if err != nil {
		w.t.Fatal(err)
	}
	return res.GetCall()
}

// want fills in what most calls have in common.
func want(req *controlv1.StartCallRequest) *controlv1.StartCallRequest {
	if req.IdempotencyKey == "" {
		req.IdempotencyKey = "key"
	}
	if req.To == "" {
		req.To = callee
	}
	req.Agent = "agent"
	return req
}

func again(cause string, delay time.Duration, limit uint32) *controlv1.RetryPolicy {
	return &controlv1.RetryPolicy{Causes: []*controlv1.Retry{{Cause: cause, Delay: durationpb.New(delay), Limit: limit}}}
}

// over waits until the call is over, and gives what its story says.
func (w *world) over(c *controlv1.Call) *call.State {
	w.t.Helper()
	bustest.Expect(w.t, w.bus, c.GetId(), "CallEnded")
	bustest.Expect(w.t, w.bus, c.GetId(), "RoomReleased")
	story, err := w.bus.Story(w.t.Context(), c.GetId())
	if err != nil {
		w.t.Fatal(err)
	}
	return call.Read(story)
}

func (w *world) callees(does ...sim.Behaviour) {
	w.t.Helper()
	if err := w.Sim.SetCallee(sim.Callee{Number: callee, Dials: does}); err != nil {
		w.t.Fatal(err)
	}
}

func TestWhatBecomesOfADialOut(t *testing.T) {
	w := start(t, bot(10, "--report-voicemail"), withPolicy()...)
	talk := sim.Duration(time.Second)
	answers := sim.Behaviour{Does: "answer", Talk: talk}
	for i, c := range []struct {
		name    string
		dials   []sim.Behaviour
		retry   *controlv1.RetryPolicy
		outcome callv1.Outcome
		reason  string
		dialled int
	}{
		{"it is answered", []sim.Behaviour{answers}, nil, callv1.Outcome_OUTCOME_COMPLETED, "callee_hung_up", 1},
		{"it is answered when tried again", []sim.Behaviour{{Does: "busy"}, answers}, again("not_answered", time.Second, 1), callv1.Outcome_OUTCOME_COMPLETED, "callee_hung_up", 2},
		{"it rings for too long", []sim.Behaviour{{Does: "no-answer"}}, nil, callv1.Outcome_OUTCOME_UNREACHED, "no_answer", 1},
		{"it rings for too long, twice", []sim.Behaviour{{Does: "no-answer"}}, again("no_answer", time.Second, 1), callv1.Outcome_OUTCOME_UNREACHED, "no_answer", 2},
		{"it is declined", []sim.Behaviour{{Does: "reject"}}, nil, callv1.Outcome_OUTCOME_UNREACHED, "not_answered", 1},
		{"a machine answers", []sim.Behaviour{{Does: "voicemail"}}, nil, callv1.Outcome_OUTCOME_UNREACHED, "voicemail", 1},
		{"a machine answers, and then a person", []sim.Behaviour{{Does: "voicemail"}, answers}, again("voicemail", time.Second, 1), callv1.Outcome_OUTCOME_COMPLETED, "callee_hung_up", 2},
		{"an error", []sim.Behaviour{{Does: "error", Text: "carrier trouble", Ends: "error"}, answers}, again("error", time.Second, 1), callv1.Outcome_OUTCOME_COMPLETED, "callee_hung_up", 2},
		{"an error that is then told as the end", []sim.Behaviour{{Does: "error", Text: "carrier trouble", Ends: "error-then-stopped"}}, nil, callv1.Outcome_OUTCOME_UNREACHED, "error", 1},
		{"a definite no", []sim.Behaviour{{Does: "start-error", Text: "International dialout not supported. Contact sales to enable it for your domain"}}, again("error", time.Second, 3), callv1.Outcome_OUTCOME_UNREACHED, "international", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.t
			w.t = t
			defer func() { w.t = before }()
			to := callee[:len(callee)-2] + string([]byte{'0' + byte(i/10), '0' + byte(i%10)})
			if err := w.Sim.SetCallee(sim.Callee{Number: to, Dials: c.dials}); err != nil {
				t.Fatal(err)
			}
			s := w.over(w.starts(&controlv1.StartCallRequest{IdempotencyKey: c.name, To: to, Retry: c.retry, RingTimeout: durationpb.New(2 * time.Second)}))
			if end := s.Ended.Data; end.GetOutcome() != c.outcome || end.GetReason() != c.reason {
				t.Errorf("ended %s %s (%s), want %s %s", end.GetOutcome(), end.GetReason(), end.GetDetail(), c.outcome, c.reason)
			}
			if n := w.Sim.Stats().Dialled[to]; n != c.dialled {
				t.Errorf("dialled %d times, want %d", n, c.dialled)
			}
		})
	}
	w.idle()
}

func TestARequestThatComesOftenIsOneCall(t *testing.T) {
	w := start(t, bot(10), withPolicy()...)
	w.callees(sim.Behaviour{Does: "answer", Talk: sim.Duration(time.Second)})
	var mu sync.Mutex
	var ids []string
	fresh := 0
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			res, err := w.Control().StartCall(t.Context(), want(&controlv1.StartCallRequest{}))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			if ids = append(ids, res.GetCall().GetId()); !res.GetReplayed() {
				fresh++
			}
		})
	}
	group.Wait()
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 || fresh != 1 {
		t.Fatalf("%d calls, %d of them new", len(slices.Compact(ids)), fresh)
	}
	w.over(&controlv1.Call{Id: ids[0]})
	if n := w.Sim.Stats().Dialled[callee]; n != 1 {
		t.Errorf("dialled %d times", n)
	}
}
