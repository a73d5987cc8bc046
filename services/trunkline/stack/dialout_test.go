// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
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
	t.Parallel()
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

func TestACallIsEndedAtEachStage(t *testing.T) {
	w := start(t, bot(10), withPolicy()...)
	for name, c := range map[string]struct {
		does    sim.Behaviour
		in      time.Duration // until it is due
		at      string        // the event after which it is ended
		outcome callv1.Outcome
		dialled int
	}{
		"scheduled": {sim.Behaviour{}, time.Hour, "CallRequested", callv1.Outcome_OUTCOME_CANCELLED, 0},
		"dialled":   {sim.Behaviour{Does: sim.DoesNoAnswer}, 0, "DialStarted.1", callv1.Outcome_OUTCOME_CANCELLED, 1},
		"talking":   {sim.Behaviour{Does: sim.DoesAnswer}, 0, "CallConnected", callv1.Outcome_OUTCOME_COMPLETED, 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.t
			w.t = t
			defer func() { w.t = before }()
			w.callees(c.does)
			dialled := w.Sim.Stats().Dialled[callee]
			placed := w.starts(&controlv1.StartCallRequest{IdempotencyKey: name, NotBefore: timestamppb.New(time.Now().Add(c.in))})
			bustest.Expect(t, w.bus, placed.GetId(), c.at)
			res, err := w.Control().EndCall(t.Context(), &controlv1.EndCallRequest{Id: placed.GetId(), Detail: "no longer needed"})
			if err != nil || res.GetCall().GetState() != controlv1.State_STATE_ENDED || res.GetCall().GetOutcome() != c.outcome || res.GetCall().GetDetail() != "no longer needed" {
				t.Errorf("%v, %v", res, err)
			}
			if again, err := w.Control().EndCall(t.Context(), &controlv1.EndCallRequest{Id: placed.GetId()}); err != nil || again.GetCall().GetDetail() != "no longer needed" {
				t.Errorf("once more: %v, %v", again, err)
			}
			w.over(placed)
			w.wait("nobody to be on the line", func() bool {
				return !slices.ContainsFunc(w.Sim.Dials(), func(d sim.Dial) bool { return d.State != sim.Ended })
			})
			if n := w.Sim.Stats().Dialled[callee] - dialled; n != c.dialled {
				t.Errorf("dialled %d times, want %d", n, c.dialled)
			}
		})
	}
	w.idle()
	if _, err := w.Control().EndCall(t.Context(), &controlv1.EndCallRequest{Id: bus.CallID("nobody's")}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a call that there is not: %v", err)
	}
}

// A bot that dials is told whom, in the shape that it reads; no other bot is, or the person would be called twice.
func TestABotThatDialsByItselfIsToldWhom(t *testing.T) {
	for _, shape := range []string{config.DialoutObject, config.DialoutList} {
		t.Run(shape, func(t *testing.T) {
			agent := bot(2)
			agent.Dial, agent.DialoutSettings, agent.Owner = config.DialsByBot, shape, true
			w := start(t, agent, withPolicy()...)
			w.callees(sim.Behaviour{Talk: sim.Duration(time.Second)})
			s := w.over(w.starts(&controlv1.StartCallRequest{Retry: again("not_answered", time.Second, 2)}))
			if s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || s.Connected == nil || s.Current().Dial != nil {
				t.Errorf("ended %v", s.Ended.Data)
			}
			if dials := w.Sim.Dials(); len(dials) != 1 || dials[0].By != "bot" {
				t.Errorf("dials: %+v", dials)
			}
		})
	}
}

func TestABotThatDiesWhileItRingsIsReplaced(t *testing.T) {
	w := start(t, bot(2), withPolicy()...)
	w.callees(sim.Behaviour{Does: sim.DoesNoAnswer})
	placed := w.starts(&controlv1.StartCallRequest{})
	w.wait("it to ring", func() bool {
		dials := w.Sim.Dials()
		return len(dials) == 1 && dials[0].State == sim.Ringing
	})
	started := bustest.Expect(t, w.bus, placed.GetId(), "BotStarted.1").Data.(*callv1.BotStarted)
	_, pid, _ := strings.Cut(started.GetHandle(), "/")
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	bustest.Expect(t, w.bus, placed.GetId(), "BotReady.2")
	if err := w.Sim.AnswerDial(w.Sim.Dials()[0].ID); err != nil {
		t.Fatal(err)
	}
	connected := bustest.Expect(t, w.bus, placed.GetId(), "CallConnected").Data.(*callv1.CallConnected)
	if connected.GetAttempt() != 2 {
		t.Errorf("connected to the bot of attempt %d", connected.GetAttempt())
	}
	if err := w.Sim.HangupDial(w.Sim.Dials()[0].ID); err != nil {
		t.Fatal(err)
	}
	if s := w.over(placed); s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED {
		t.Errorf("ended %v", s.Ended.Data)
	}
	if n := w.Sim.Stats().Dialled[callee]; n != 1 {
		t.Errorf("dialled %d times", n)
	}
}

// What is no longer allowed when the call is due is not dialled.
func TestPolicyIsAskedAgainWhenACallIsDue(t *testing.T) {
	list := filepath.Join(t.TempDir(), "do-not-call.txt")
	if err := os.WriteFile(list, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, bot(2), withPolicy(func(o *stack.Options) { o.Config.Policy.DoNotCall = list })...)
	placed := w.starts(&controlv1.StartCallRequest{NotBefore: timestamppb.New(time.Now().Add(8 * time.Second))})
	if err := os.WriteFile(list, []byte(callee+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.over(placed)
	if end := s.Ended.Data; end.GetOutcome() != callv1.Outcome_OUTCOME_REFUSED || end.GetReason() != "policy" || !strings.HasPrefix(end.GetDetail(), "do_not_call: ") {
		t.Errorf("ended %v", end)
	}
	if n := w.Sim.Stats().Dialled[callee]; n != 0 {
		t.Errorf("dialled %d times", n)
	}
}

func TestCapsOnDialOutsHold(t *testing.T) {
	agent := bot(10)
	agent.MaxDialouts = 2
	w := start(t, agent, withPolicy(func(o *stack.Options) {
		o.Config.Policy.PerNumber = config.PerNumber{Calls: 1, Window: time.Hour}
	})...)
	var placed []*controlv1.Call
	for i := range 6 {
		to := fmt.Sprintf("+1415555010%d", i)
		if err := w.Sim.SetCallee(sim.Callee{Number: to, Dials: []sim.Behaviour{{Talk: sim.Duration(500 * time.Millisecond)}}}); err != nil {
			t.Fatal(err)
		}
		placed = append(placed, w.starts(&controlv1.StartCallRequest{IdempotencyKey: to, To: to}))
	}
	for _, c := range placed {
		if s := w.over(c); s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED {
			t.Errorf("ended %v", s.Ended.Data)
		}
	}
	if most := w.Sim.Stats().Bots.MaxLive; most > 2 {
		t.Errorf("%d bots at once", most)
	}
	// The number has had its call for this hour, and the next is too late.
	s := w.over(w.starts(&controlv1.StartCallRequest{IdempotencyKey: "again", To: "+14155550100", NotAfter: timestamppb.New(time.Now().Add(10 * time.Minute))}))
	if end := s.Ended.Data; end.GetOutcome() != callv1.Outcome_OUTCOME_REFUSED || !strings.HasPrefix(end.GetDetail(), "per_number: ") {
		t.Errorf("ended %v", end)
	}
	res, err := w.Control().ExplainPolicy(t.Context(), &controlv1.ExplainPolicyRequest{To: "+14155550100", Agent: "agent"})
	if err != nil || res.GetDecision() != controlv1.Decision_DECISION_WAIT || res.GetRule() != "per_number" {
		t.Errorf("%v, %v", res, err)
	}
}

// A bot that has reached a machine may want the end, and so may the bot of the next try.
func TestTheEndThatABotWantsIsThatOfItsAttempt(t *testing.T) {
	w := start(t, bot(2), withPolicy()...)
	w.callees(sim.Behaviour{Does: sim.DoesVoicemail}, sim.Behaviour{Does: sim.DoesAnswer})
	placed := w.starts(&controlv1.StartCallRequest{Retry: again("voicemail", time.Second, 1)})
	says := func(attempt uint32, path string, what map[string]any) {
		if status, word := w.ask(w.botToken(placed.GetId(), attempt), path, what); status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, status, word)
		}
	}
	bustest.Expect(t, w.bus, placed.GetId(), "DialAnswered.1")
	says(1, "event", map[string]any{"seq": 1, "type": "voicemail"})
	says(1, "end", map[string]any{"reason": "a machine"})
	bustest.Expect(t, w.bus, placed.GetId(), "DialAnswered.2")
	says(2, "end", map[string]any{"reason": "goodbye"})
	s := w.over(placed)
	if end := s.Ended.Data; end.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || end.GetReason() != "bot_ended" || end.GetDetail() != "goodbye" {
		t.Errorf("ended %v", end)
	}
}

// botToken is what the bot of an attempt was given.
func (w *world) botToken(callID string, attempt uint32) string {
	w.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": callID, "attempt": attempt, "aud": "trunkline-gateway", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(w.Secrets.TrunklineSecret[0].Reveal()))
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// A call that is begun too late is not begun.
func TestACallWhoseTimeIsOverIsNotBegun(t *testing.T) {
	w := start(t, bot(2), withPolicy()...)
	id := bus.CallID("late")
	past := time.Now().Add(-time.Minute)
	control := bus.New("call-control", w.JS, slog.New(slog.DiscardHandler), nil)
	if _, err := control.Publish(t.Context(), id, &callv1.CallRequested{
		To: callee, Agent: "agent", NotBefore: timestamppb.New(past), NotAfter: timestamppb.New(past.Add(time.Second)),
		RingTimeout: durationpb.New(time.Minute), AnswerBudget: durationpb.New(time.Minute), MaxDuration: durationpb.New(time.Minute),
	}); err != nil {
		t.Fatal(err)
	}
	s := w.over(&controlv1.Call{Id: id})
	if end := s.Ended.Data; end.GetOutcome() != callv1.Outcome_OUTCOME_CANCELLED || end.GetReason() != "expired" || !s.Current().AskedAt.IsZero() {
		t.Errorf("ended %v", end)
	}
}
