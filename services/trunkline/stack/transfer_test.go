// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// The phones of people to whom callers are transferred.
const (
	first  = "+14155550181"
	second = "+14155550182"
)

// target is somebody who can be had in every mode, by default on two phones, one after another.
func target(change ...func(*config.Target)) config.Target {
	t := config.DefaultTarget()
	t.Numbers, t.Modes = []string{first, second}, []string{config.ModeCold, config.ModeWarm, config.ModeBlind, config.ModeRefer}
	t.RingTimeout = 2 * time.Second
	for _, f := range change {
		f(&t)
	}
	return t
}

// withTargets lets the agent's calls be transferred to supervisor, and to others.
func withTargets(supervisor config.Target, others map[string]config.Target, change ...func(*stack.Options)) []func(*stack.Options) {
	return withPolicy(append([]func(*stack.Options){func(o *stack.Options) {
		o.Config.Targets = map[string]config.Target{"supervisor": supervisor}
		for name, t := range others {
			o.Config.Targets[name] = t
		}
		agent := o.Config.Agents["agent"]
		for name, t := range o.Config.Targets {
			t.Name = name
			o.Config.Targets[name] = t
			agent.Targets = append(agent.Targets, name)
		}
		o.Config.Agents["agent"] = agent
		o.Config.Transfer.LostAfter = 5 * time.Second
		o.Config.Transfer.MessageTimeout = time.Second
	}}, change...)...)
}

// phones sets what the phones do when they are called.
func (w *world) phones(does map[string]sim.Behaviour) {
	w.t.Helper()
	for number, b := range does {
		if err := w.Sim.SetCallee(sim.Callee{Number: number, Dials: []sim.Behaviour{b}}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// transfer asks for a transfer to the supervisor, as an operator does.
func (w *world) transfer(phone sim.Call, mode string, change ...func(*transferv1.RequestTransferRequest)) *transferv1.Transfer {
	w.t.Helper()
	req := &transferv1.RequestTransferRequest{Call: w.id(phone), Target: "supervisor", Mode: mode, IdempotencyKey: "key", Summary: "the summary"}
	for _, f := range change {
		f(req)
	}
	res, err := w.Transfers().RequestTransfer(w.t.Context(), req)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.told(phone))
	}
	return res.GetTransfer()
}

// talking places a call that stays, and waits until caller and bot are together.
func (w *world) talking(spec sim.CallSpec) sim.Call {
	w.t.Helper()
	if spec.From == "" {
		spec.From = caller
	}
	phone := w.connected(w.place(spec))
	w.expect(phone, "CallConnected")
	return phone
}

// who gives the session of the caller, of the bot, or of the operator of a try such as 1.2; empty if he is not there.
func (w *world) who(phone sim.Call, name string) string {
	w.t.Helper()
	s := w.state(phone)
	for _, h := range w.Sim.Hears(w.room(phone)) {
		_, _, bot := call.ParseBot(h.UserID)
		var n, k uint32
		_, _ = fmt.Sscanf(name, "%d.%d", &n, &k)
		switch {
		case name == "caller" && h.Call == phone.ID, name == "bot" && bot, n > 0 && h.SessionID == s.OperatorSession(n, k):
			return h.SessionID
		}
	}
	return ""
}

func (w *world) room(phone sim.Call) string { return w.state(phone).Forwarded.Data.GetRoom() }

// hears reports whether one hears another in the caller's room now.
func (w *world) hears(phone sim.Call, listener, speaker string) bool {
	w.t.Helper()
	l, s := w.who(phone, listener), w.who(phone, speaker)
	return s != "" && slices.ContainsFunc(w.Sim.Hears(w.room(phone)), func(h sim.Hearing) bool {
		return h.SessionID == l && slices.Contains(h.Hears, s)
	})
}

// together waits until two hear one another.
func (w *world) together(phone sim.Call, one, other string) {
	w.t.Helper()
	w.wait(one+" and "+other+" to hear one another", func() bool { return w.hears(phone, one, other) && w.hears(phone, other, one) })
}

// hungUp asserts that the caller hangs up and that nothing is left of the call.
func (w *world) hungUp(phone sim.Call) *call.State {
	w.t.Helper()
	if err := w.Sim.Hangup(phone.ID); err != nil {
		w.t.Fatal(err)
	}
	s := w.cleared(phone)
	w.alone(2 * time.Second)
	return s
}

// alone asserts that no phone that was dialled rings or talks any more, within a time.
func (w *world) alone(within time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	if err := w.Sim.WaitFor(ctx, func() bool { return w.lines() == 0 }); err != nil {
		w.t.Fatalf("%d phones are still on the line after %s", w.lines(), within)
	}
}

// lines counts the phones that were dialled and ring or talk.
func (w *world) lines() (n int) {
	for _, d := range w.Sim.Dials() {
		if d.EndedAt == nil {
			n++
		}
	}
	return n
}

// as gives a client of transfer-service with a token.
func (w *world) as(token string) transferv1connect.TransferServiceClient {
	return transferv1connect.NewTransferServiceClient(http.DefaultClient, w.URLs["transfer"], connect.WithInterceptors(auth.Bearer(token)))
}

var (
	picksUp  = sim.Behaviour{Does: sim.DoesAnswer, After: sim.Duration(300 * time.Millisecond)}
	ignores  = sim.Behaviour{Does: sim.DoesNoAnswer}
	declines = sim.Behaviour{Does: sim.DoesReject}
)

// settings are all that Daily leaves open that a transfer might depend on.
func settings(t *testing.T, run func(t *testing.T, name string, change func(*stack.Options))) {
	for _, drop := range []string{"last-owner", "last-web"} {
		for _, owner := range []bool{true, false} {
			for _, joins := range []string{"connected", "answered"} {
				name := fmt.Sprintf("legs drop after the %s, the bot is an owner: %t, a leg joins when %s", drop, owner, joins)
				run(t, name, func(o *stack.Options) {
					agent := o.Config.Agents["agent"]
					agent.Owner = owner
					o.Config.Agents["agent"] = agent
					withSim(func(c *sim.Config) { c.LegsDrop, c.Dialout.Joins = drop, joins })(o)
				})
			}
		}
	}
}

func TestATransferLeavesTheCallerWithSomebody(t *testing.T) {
	cases := []struct {
		name  string
		mode  string
		first sim.Behaviour
		next  sim.Behaviour
		with  string // whom the caller talks to then
		ends  string
	}{
		{"cold, the first answers", config.ModeCold, picksUp, ignores, "1.1", "TransferCompleted.1"},
		{"cold, the second answers", config.ModeCold, declines, picksUp, "1.2", "TransferCompleted.1"},
		{"cold, nobody answers", config.ModeCold, declines, ignores, "bot", "TransferFailed.1"},
		{"warm, the first answers", config.ModeWarm, picksUp, ignores, "1.1", "TransferCompleted.1"},
		{"warm, nobody answers", config.ModeWarm, ignores, declines, "bot", "TransferFailed.1"},
	}
	targets := map[string]config.Target{}
	for i := range cases {
		targets[fmt.Sprint("case", i)] = target(func(t *config.Target) {
			t.Numbers = []string{fmt.Sprintf("+1415555%d1", 200+i), fmt.Sprintf("+1415555%d2", 200+i)}
		})
	}
	settings(t, func(t *testing.T, name string, change func(*stack.Options)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := start(t, bot(len(cases)), withTargets(target(), targets, change)...)
			var group sync.WaitGroup
			for i, c := range cases {
				w := *all
				group.Go(func() {
					numbers := targets[fmt.Sprint("case", i)].Numbers
					w.phones(map[string]sim.Behaviour{numbers[0]: c.first, numbers[1]: c.next})
					phone := w.talking(sim.CallSpec{From: fmt.Sprintf("+1415555013%d", i)})
					w.transfer(phone, c.mode, func(req *transferv1.RequestTransferRequest) { req.Target = fmt.Sprint("case", i) })
					w.expect(phone, c.ends)
					w.together(phone, "caller", c.with)
					if c.with != "bot" {
						w.wait("the bot to be silent", func() bool { return !w.hears(phone, "caller", "bot") })
						w.heard(phone, "the summary", c.mode == config.ModeWarm)
					}
					if err := w.Sim.Hangup(phone.ID); err != nil {
						t.Error(err)
					}
					if s := w.cleared(phone); s.Ended.Data.GetReason() != "caller_hung_up" || len(s.Attempts) != 1 {
						t.Errorf("%s: ended %s\n%s", c.name, s.Ended.Data, w.told(phone))
					}
				})
			}
			group.Wait()
			all.alone(2 * time.Second)
			all.idle()
		})
	})
}

// heard asserts who heard a text: the operator, where he was to, and never the caller.
func (w *world) heard(phone sim.Call, text string, told bool) {
	w.t.Helper()
	operator, by := w.who(phone, "1.1"), 0
	for _, said := range w.Sim.Heard(w.room(phone)) {
		if said.Text != text {
			continue
		}
		if slices.Contains(said.HeardBy, w.who(phone, "caller")) {
			w.t.Errorf("the caller has heard %q", text)
		}
		if slices.Contains(said.HeardBy, operator) {
			by++
		}
	}
	if (by > 0) != told {
		w.t.Errorf("the operator has heard %q %d times", text, by)
	}
}

// Where Daily does not let phones be made deaf, a warm transfer still comes to its end, or says that it cannot.
func TestAWarmTransferWherePermissionsDoNothing(t *testing.T) {
	for legs, ends := range map[string]string{"ignored": "TransferCompleted.1", "refused": "TransferFailed.1"} {
		t.Run(legs, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(2), withTargets(target(), nil, withSim(func(c *sim.Config) { c.Permissions.Legs = legs }))...)
			w.phones(map[string]sim.Behaviour{first: picksUp})
			phone := w.talking(sim.CallSpec{})
			w.transfer(phone, config.ModeWarm)
			w.expect(phone, ends)
			if legs == "refused" {
				if why := w.state(phone).Transfer().Failed.Data; why.GetReason() != "no_hold" {
					t.Errorf("failed because of %s", why)
				}
				w.together(phone, "caller", "bot")
			}
			w.hungUp(phone)
		})
	}
}

func TestABotAsksForATransfer(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		does  sim.Behaviour
		ends  string
		late  bool
		why   string
	}{
		{"and announces it", []string{"--transfer=supervisor", "--announce=one moment"}, picksUp, "TransferCompleted.1", false, ""},
		{"and never announces it", []string{"--transfer=supervisor", "--announce=one moment", "--never-announce"}, picksUp, "TransferCompleted.1", true, ""},
		{"and briefs", []string{"--transfer=supervisor", "--transfer-mode=warm", "--summary=the summary"}, picksUp, "TransferCompleted.1", false, ""},
		{"and never briefs", []string{"--transfer=supervisor", "--transfer-mode=warm", "--never-brief"}, picksUp, "TransferCompleted.1", false, ""},
		{"and who answers declines", []string{"--transfer=supervisor", "--transfer-mode=warm", "--decline-briefing"}, picksUp, "TransferFailed.1", false, "declined"},
		{"and nobody answers", []string{"--transfer=supervisor"}, ignores, "TransferFailed.1", false, "no_answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(2, c.flags...), withTargets(target(func(t *config.Target) { t.Numbers = []string{first} }), nil, func(o *stack.Options) {
				o.Config.Transfer.AnnounceTimeout, o.Config.Transfer.BriefTimeout = 3*time.Second, 2*time.Second
			})...)
			w.phones(map[string]sim.Behaviour{first: c.does})
			phone := w.talking(sim.CallSpec{})
			w.expect(phone, c.ends)
			s := w.state(phone)
			if got := s.Transfer(); got.Announced.Data.GetLate() != c.late || got.Failed != nil && got.Failed.Data.GetReason() != c.why {
				t.Errorf("announced %s, failed %v\n%s", got.Announced.Data, got.Failed, w.told(phone))
			}
			with := "1.1"
			if c.why != "" {
				with = "bot"
				w.wait("the bot to tell why", func() bool {
					return slices.ContainsFunc(w.Sim.Heard(w.room(phone)), func(said sim.Said) bool {
						return said.Text == "transfer failed: "+c.why && slices.Contains(said.HeardBy, w.who(phone, "caller"))
					})
				})
			}
			w.together(phone, "caller", with)
			w.hungUp(phone)
			w.idle()
		})
	}
}

// Whenever the caller hangs up: whoever was called for him is let go within two seconds, and nobody sits in an empty room.
func TestTheCallerHangsUpInATransfer(t *testing.T) {
	for _, c := range []struct {
		name, mode string
		does       sim.Behaviour
		flags      []string
		at         string // the event at which the caller hangs up
	}{
		{"while it is announced", config.ModeCold, picksUp, []string{"--never-announce"}, "TransferRequested.1"},
		{"when somebody is about to be called", config.ModeCold, picksUp, nil, "TransferStarting.1.1"},
		{"while it rings", config.ModeCold, ignores, nil, "TransferStarted.1.1"},
		{"on hold, while it rings", config.ModeWarm, ignores, nil, "TransferStarted.1.1"},
		{"during the briefing", config.ModeWarm, picksUp, []string{"--never-brief"}, "TransferBriefing.1.1"},
		{"when somebody has answered", config.ModeCold, picksUp, nil, "TransferAnswered.1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(2, c.flags...), withTargets(target(func(t *config.Target) { t.RingTimeout = time.Minute }), nil)...)
			w.phones(map[string]sim.Behaviour{first: c.does, second: ignores})
			phone := w.talking(sim.CallSpec{})
			w.transfer(phone, c.mode, func(req *transferv1.RequestTransferRequest) {
				if c.at == "TransferRequested.1" {
					req.Announcement = "one moment"
				}
			})
			w.expect(phone, c.at)
			s := w.hungUp(phone)
			if over := s.Transfer(); over.Completed == nil {
				w.expect(phone, "TransferCancelled.1")
				if why := w.state(phone).Transfer().Cancelled.Data.GetReason(); why != "caller_hung_up" {
					t.Errorf("cancelled because of %s", why)
				}
			}
			if s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || s.Ended.Data.GetReason() != "caller_hung_up" {
				t.Errorf("ended %s\n%s", s.Ended.Data, w.told(phone))
			}
			w.idle()
		})
	}
}

func TestARequestThatComesOftenIsOneTransfer(t *testing.T) {
	t.Parallel()
	w := start(t, bot(2), withTargets(target(), nil)...)
	w.phones(map[string]sim.Behaviour{first: picksUp})
	phone := w.talking(sim.CallSpec{})
	var mu sync.Mutex
	fresh, ns := 0, map[uint32]bool{}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			res, err := w.Transfers().RequestTransfer(t.Context(), &transferv1.RequestTransferRequest{
				Call: w.id(phone), Target: "supervisor", Mode: config.ModeCold, IdempotencyKey: "the same",
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			ns[res.GetTransfer().GetN()] = true
			if !res.GetReplayed() {
				fresh++
			}
		})
	}
	group.Wait()
	w.expect(phone, "TransferCompleted.1")
	if n := w.Sim.Stats().Dialled[first]; fresh != 1 || len(ns) != 1 || n != 1 {
		t.Errorf("%d transfers were made of it, with the numbers %v, and %d dials", fresh, ns, n)
	}
	w.hungUp(phone)
}

func TestOneTransferAtATime(t *testing.T) {
	t.Parallel()
	w := start(t, bot(2), withTargets(target(), nil)...)
	w.phones(map[string]sim.Behaviour{first: ignores, second: ignores})
	phone := w.talking(sim.CallSpec{})
	w.transfer(phone, config.ModeCold)
	ask := func(key, mode string) connect.Code {
		_, err := w.Transfers().RequestTransfer(t.Context(), &transferv1.RequestTransferRequest{
			Call: w.id(phone), Target: "supervisor", Mode: mode, IdempotencyKey: key, Summary: "the summary",
		})
		return connect.CodeOf(err)
	}
	if code := ask("another", config.ModeCold); code != connect.CodeFailedPrecondition {
		t.Errorf("a second transfer while the first is under way: %s", code)
	}
	if code := ask("key", config.ModeWarm); code != connect.CodeAlreadyExists {
		t.Errorf("the first one's key with other content: %s", code)
	}
	res, err := w.Transfers().CancelTransfer(t.Context(), &transferv1.CancelTransferRequest{Call: w.id(phone)})
	if err != nil || res.GetTransfer().GetState() != transferv1.State_STATE_CANCELLED {
		t.Fatalf("cancelled: %s, %v", res.GetTransfer(), err)
	}
	w.together(phone, "caller", "bot")
	w.alone(5 * time.Second)
	w.phones(map[string]sim.Behaviour{first: picksUp})
	w.transfer(phone, config.ModeCold, func(req *transferv1.RequestTransferRequest) { req.IdempotencyKey = "another" })
	w.expect(phone, "TransferCompleted.2")
	w.together(phone, "caller", "2.1")
	w.hungUp(phone)
}

func TestABotsTokenMovesItsOwnCallAlone(t *testing.T) {
	t.Parallel()
	w := start(t, bot(3), withTargets(target(), nil)...)
	mine, other := w.talking(sim.CallSpec{}), w.talking(sim.CallSpec{From: "+14155550124"})
	client := func(callID string, attempt uint32) transferv1connect.TransferServiceClient {
		return w.as(w.botToken(callID, attempt))
	}
	_, err := client(w.id(mine), 1).RequestTransfer(t.Context(), &transferv1.RequestTransferRequest{
		Call: w.id(other), Target: "supervisor", Mode: config.ModeCold, IdempotencyKey: "key",
	})
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("another call: %v", err)
	}
	_, err = client(w.id(mine), 2).RequestTransfer(t.Context(), &transferv1.RequestTransferRequest{
		Call: w.id(mine), Target: "supervisor", Mode: config.ModeCold, IdempotencyKey: "key",
	})
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("another attempt: %v", err)
	}
	_, err = client(w.id(mine), 1).RequestTransfer(t.Context(), &transferv1.RequestTransferRequest{
		Call: w.id(mine), Number: first, Mode: config.ModeCold, IdempotencyKey: "key",
	})
	if connect.CodeOf(err) != connect.CodePermissionDenied || !strings.Contains(err.Error(), auth.TransfersNumber) {
		t.Errorf("a number: %v", err)
	}
	for _, phone := range []sim.Call{mine, other} {
		if s := w.state(phone); len(s.Transfers) != 0 {
			t.Errorf("a transfer:\n%s", w.told(phone))
		}
	}
	if _, err := client(w.id(mine), 1).RequestTransfer(t.Context(), &transferv1.RequestTransferRequest{
		Call: w.id(mine), Target: "supervisor", Mode: config.ModeCold, IdempotencyKey: "key",
	}); err != nil {
		t.Errorf("its own: %v", err)
	}
}

// A caller for whom no bot could be had is connected with a person.
func TestWhoGetsNoBotGetsAPerson(t *testing.T) {
	for _, c := range []struct {
		name    string
		does    sim.Behaviour
		outcome callv1.Outcome
		reason  string
	}{
		{"who answers", picksUp, callv1.Outcome_OUTCOME_COMPLETED, "caller_hung_up"},
		{"who does not", ignores, callv1.Outcome_OUTCOME_MISSED, "nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			agent := bot(2, "--never-join")
			agent.ReadyTimeout = time.Second
			w := start(t, agent, withTargets(target(), nil, withRoute(func(r *config.Route) {
				r.AnswerBudget, r.Overflow = 3*time.Second, "supervisor"
			}))...)
			w.phones(map[string]sim.Behaviour{first: declines, second: c.does})
			phone := w.place(sim.CallSpec{From: caller})
			if c.outcome == callv1.Outcome_OUTCOME_COMPLETED {
				w.expect(phone, "TransferCompleted.1")
				w.together(phone, "caller", "1.2")
				if err := w.Sim.Hangup(phone.ID); err != nil {
					t.Fatal(err)
				}
			}
			s := w.cleared(phone)
			if end := s.Ended.Data; end.GetOutcome() != c.outcome || end.GetReason() != c.reason {
				t.Errorf("ended %s\n%s", end, w.told(phone))
			}
			w.alone(2 * time.Second)
			w.idle()
		})
	}
}

func TestWhoIsSentAwayHasNotHungUp(t *testing.T) {
	for _, order := range []string{"left-first", "triggered-first"} {
		for _, mode := range []string{config.ModeBlind, config.ModeRefer} {
			t.Run(mode+", "+order, func(t *testing.T) {
				t.Parallel()
				w := start(t, bot(2), withTargets(target(), nil, withSim(func(c *sim.Config) { c.Transfers.Order = order }))...)
				w.phones(map[string]sim.Behaviour{first: {Does: sim.DoesAnswer, Talk: sim.Duration(2 * time.Second)}})
				phone := w.talking(sim.CallSpec{})
				w.transfer(phone, mode)
				w.expect(phone, "TransferCompleted.1")
				s := w.cleared(phone)
				if end := s.Ended.Data; end.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || end.GetReason() != "transferred" {
					t.Errorf("ended %s\n%s", end, w.told(phone))
				}
				w.idle()
			})
		}
	}
}

// A provider that does not want the caller leaves him where he is.
func TestWhoIsNotTakenIsStillHere(t *testing.T) {
	t.Parallel()
	w := start(t, bot(2), withTargets(target(), nil, withSim(func(c *sim.Config) { c.Transfers.Refer = "declined" }), func(o *stack.Options) {
		o.Config.Transfer.LostAfter = time.Second
	})...)
	phone := w.talking(sim.CallSpec{})
	w.transfer(phone, config.ModeRefer)
	w.expect(phone, "TransferFailed.1")
	if why := w.state(phone).Transfer().Failed.Data.GetReason(); why != "not_moved" {
		t.Errorf("failed because of %s", why)
	}
	w.together(phone, "caller", "bot")
	if s := w.hungUp(phone); s.Ended.Data.GetReason() != "caller_hung_up" {
		t.Errorf("ended %s\n%s", s.Ended.Data, w.told(phone))
	}
}

// Both ways of what Daily may answer, or not, while people are called.
func TestATransferUnderDailysFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault sim.Fault
		ends  string
	}{
		{"dials and answers 500", sim.Fault{Class: "dial", When: "after", Kind: "status", Status: 500, Times: 1}, "TransferCompleted.1"},
		{"dials and is cut off", sim.Fault{Class: "dial", When: "after", Kind: "drop", Times: 1}, "TransferCompleted.1"},
		{"dials and answers too late", sim.Fault{Class: "dial", When: "after", Kind: "slow", Delay: sim.Duration(5 * time.Second), Times: 1}, "TransferCompleted.1"},
		{"does not dial and answers 429", sim.Fault{Class: "dial", Kind: "status", Status: 429, Times: 2}, "TransferCompleted.1"},
		{"does not dial and answers 500", sim.Fault{Class: "dial", Kind: "status", Status: 500, Times: 1}, "TransferCompleted.1"},
		{"dials nobody and answers 500", sim.Fault{Class: "dial", Kind: "status", Status: 500, Times: 2}, "TransferFailed.1"},
		{"answers 500 to everything but dials for a while", sim.Fault{Class: "most", Kind: "status", Status: 500, Times: 6}, "TransferCompleted.1"},
	} {
		for _, mode := range []string{config.ModeCold, config.ModeWarm} {
			t.Run("Daily "+c.name+", "+mode, func(t *testing.T) {
				t.Parallel()
				w := start(t, bot(2), withTargets(target(), nil, func(o *stack.Options) { o.Config.Transfer.LostAfter = 2 * time.Second })...)
				w.phones(map[string]sim.Behaviour{first: picksUp, second: picksUp})
				phone := w.talking(sim.CallSpec{})
				w.faults(c.fault)
				w.transfer(phone, mode)
				w.expect(phone, c.ends)
				with, lines := "bot", 0
				if done := w.state(phone).Transfer().Completed; done != nil {
					with, lines = fmt.Sprintf("1.%d", done.Data.GetK()), 1
				}
				w.together(phone, "caller", with)
				w.wait("nobody else to be on the line", func() bool { return w.lines() == lines })
				w.hungUp(phone)
			})
		}
	}
}

// Webhooks that come late, twice and in any order change nothing.
func TestATransferWithUnrulyWebhooks(t *testing.T) {
	t.Parallel()
	w := start(t, bot(4), withTargets(target(), nil)...)
	if err := w.Sim.SetFaults(sim.Faults{Events: sim.WebhookFaults{
		Duplicate: 0.5, DuplicateAfter: sim.Duration(300 * time.Millisecond), Delay: 0.5, DelayMax: sim.Duration(500 * time.Millisecond),
		Reorder: 0.5, ReorderWithin: sim.Duration(300 * time.Millisecond),
	}}); err != nil {
		t.Fatal(err)
	}
	w.phones(map[string]sim.Behaviour{first: declines, second: picksUp})
	for i := range 4 {
		phone := w.talking(sim.CallSpec{From: fmt.Sprintf("+1415555013%d", i)})
		w.transfer(phone, []string{config.ModeCold, config.ModeWarm}[i%2])
		w.expect(phone, "TransferCompleted.1")
		w.together(phone, "caller", "1.2")
		w.hungUp(phone)
	}
}

// Where Daily tells nothing at all, somebody who has answered is hung up on in the end, and the caller is back with the bot.
func TestATransferWhoseWebhooksAreLost(t *testing.T) {
	for _, mode := range []string{config.ModeCold, config.ModeWarm} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(2), withTargets(target(), nil)...)
			w.phones(map[string]sim.Behaviour{first: picksUp, second: ignores})
			phone := w.talking(sim.CallSpec{})
			if err := w.Sim.SetFaults(sim.Faults{Events: sim.WebhookFaults{Lose: 1}}); err != nil {
				t.Fatal(err)
			}
			w.transfer(phone, mode)
			w.expect(phone, "TransferFailed.1")
			w.alone(2 * time.Second)
			w.together(phone, "caller", "bot")
			w.faults()
			w.hungUp(phone)
		})
	}
}

// What follows when nobody answers is the target's to say.
func TestWhatFollowsWhenNobodyAnswers(t *testing.T) {
	none := func(then config.NoAnswer) config.Target {
		return target(func(t *config.Target) { t.Numbers, t.NoAnswer, t.RingTimeout = []string{first}, then, time.Second })
	}
	backup := target(func(t *config.Target) { t.Numbers = []string{second} })
	t.Run("another target", func(t *testing.T) {
		t.Parallel()
		w := start(t, bot(2), withTargets(none(config.NoAnswer{Then: config.ThenTarget, Target: "backup"}), map[string]config.Target{"backup": backup})...)
		w.phones(map[string]sim.Behaviour{first: ignores, second: picksUp})
		phone := w.talking(sim.CallSpec{})
		w.transfer(phone, config.ModeCold)
		w.expect(phone, "TransferCompleted.1")
		w.together(phone, "caller", "1.2")
		w.hungUp(phone)
	})
	t.Run("the end, with a message", func(t *testing.T) {
		t.Parallel()
		w := start(t, bot(2), withTargets(none(config.NoAnswer{Then: config.ThenEnd, Message: "call again tomorrow"}), nil)...)
		w.phones(map[string]sim.Behaviour{first: ignores})
		phone := w.talking(sim.CallSpec{})
		w.transfer(phone, config.ModeCold)
		w.expect(phone, "TransferFailed.1")
		s := w.cleared(phone)
		if end := s.Ended.Data; end.GetReason() != "transfer_failed" {
			t.Errorf("ended %s\n%s", end, w.told(phone))
		}
		if !slices.ContainsFunc(w.Sim.Heard(s.Forwarded.Data.GetRoom()), func(said sim.Said) bool { return said.Text == "call again tomorrow" && len(said.HeardBy) > 0 }) {
			t.Error("the caller has not heard the message")
		}
	})
	t.Run("all of them ring at once, and one answers", func(t *testing.T) {
		t.Parallel()
		w := start(t, bot(2), withTargets(target(func(t *config.Target) { t.Strategy = config.AllAtOnce }), nil)...)
		w.phones(map[string]sim.Behaviour{first: {Does: sim.DoesAnswer, After: sim.Duration(1500 * time.Millisecond)}, second: picksUp})
		phone := w.talking(sim.CallSpec{})
		w.transfer(phone, config.ModeCold)
		w.expect(phone, "TransferCompleted.1")
		w.together(phone, "caller", "1.2")
		bustest.Expect(t, w.bus, w.id(phone), "TransferStarting.1.1")
		w.wait("the other to be let go", func() bool { return w.lines() == 1 })
		w.hungUp(phone)
	})
}
