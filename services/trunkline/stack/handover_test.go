// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

const operator = "+14155550177"

// withTarget has an agent whose callers can be handed over, to a bot's leaving or not. The test is in the place of
// transfer-service.
func withTarget(botLeaves bool) func(*stack.Options) {
	return func(o *stack.Options) {
		o.Services = slices.DeleteFunc(stack.Services(), func(s app.Service) bool { return s.Name == "transfer-service" })
		target := config.DefaultTarget()
		target.Name, target.Numbers, target.BotLeaves = "support", []string{operator}, botLeaves
		o.Config.Targets = map[string]config.Target{"support": target}
		agent := o.Config.Agents["agent"]
		agent.Targets = []string{"support"}
		o.Config.Agents["agent"] = agent
	}
}

// desk is the test in the place of transfer-service.
type desk struct {
	*world
	bus     *bus.Bus
	account *daily.Client
	phone   sim.Call
}

func (w *world) desk(phone sim.Call) *desk {
	return &desk{
		world: w, bus: bus.New("transfer-service", w.JS, slog.New(slog.DiscardHandler), nil), phone: phone,
		account: &daily.Client{BaseURL: w.Config.Daily.APIURL, APIKey: w.Secrets.DailyAPIKey.Reveal()},
	}
}

func (d *desk) writes(events ...proto.Message) {
	d.t.Helper()
	for _, m := range events {
		if _, err := d.bus.Publish(d.t.Context(), d.id(d.phone), m); err != nil {
			d.t.Fatal(err)
		}
	}
}

// calls has the operator called into the caller's room, and gives his session.
func (d *desk) calls(room string, botLeaves bool) (session string) {
	d.t.Helper()
	d.writes(&callv1.TransferRequested{
		N: 1, Target: "support", Mode: config.ModeCold, BotLeaves: botLeaves,
		Numbers: []*callv1.TransferNumber{{To: operator, Target: "support", RingTimeout: durationpb.New(20 * time.Second)}},
	}, &callv1.TransferStarting{N: 1, K: 1, Room: room})
	session, err := d.account.StartDialOut(d.t.Context(), room, daily.DialOut{PhoneNumber: operator, UserID: call.OperatorID(d.id(d.phone), 1, 1)})
	if err != nil {
		d.t.Fatal(err)
	}
	d.writes(&callv1.TransferStarted{N: 1, K: 1, SessionId: session})
	return session
}

// joins is the caller handed over to the operator.
func (d *desk) joins(session string) {
	d.t.Helper()
	d.expect(d.phone, "LegAnswered."+session)
	d.writes(&callv1.TransferAnswered{N: 1, K: 1, SessionId: session}, &callv1.TransferCompleted{N: 1, K: 1})
}

// talk reports whether caller and operator, and nobody else, hear one another.
func (d *desk) talk(room, session string) bool {
	hears := d.Sim.Hears(room)
	var callers string
	for _, h := range hears {
		if h.Call == d.phone.ID {
			callers = h.SessionID
		}
	}
	for _, h := range hears {
		switch h.SessionID {
		case callers:
			if !slices.Equal(h.Hears, []string{session}) {
				return false
			}
		case session:
			if !slices.Equal(h.Hears, []string{callers}) {
				return false
			}
		default:
			if len(h.Hears) > 0 {
				return false
			}
		}
	}
	return callers != ""
}

func (d *desk) dialEnded(session string) {
	d.t.Helper()
	d.wait("the operator's phone to be hung up on", func() bool {
		dial, _ := d.Sim.Dial(session)
		return dial.EndedAt != nil
	})
}

func TestACallerForWhomNoBotIsHadTalksToAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		hangUp func(*desk, string)
		reason string
	}{
		"the operator hangs up": {func(d *desk, session string) { _ = d.Sim.HangupDial(session) }, "operator_hung_up"},
		"the caller hangs up":   {func(d *desk, _ string) { _ = d.Sim.Hangup(d.phone.ID) }, "caller_hung_up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(2, "--never-join"), withTarget(false), withRoute(func(r *config.Route) { r.AnswerBudget, r.Overflow = 2*time.Second, "support" }))
			phone := w.connected(w.place(sim.CallSpec{From: caller}))
			w.expect(phone, "CallForwarded")
			d, s := w.desk(phone), w.state(phone)
			if s.Forwarded.Data.GetAttempt() != s.Current().N || s.Current().Place != callv1.Place_PLACE_PERSON || s.Current().Starting != nil {
				t.Fatalf("forwarded into attempt %d\n%s", s.Forwarded.Data.GetAttempt(), w.told(phone))
			}
			room := s.Forwarded.Data.GetRoom()
			session := d.calls(room, false)
			d.joins(session)
			if connected, ok := w.expect(phone, "CallConnected").Data.(*callv1.CallConnected); !ok || connected.GetAttempt() != s.Current().N {
				t.Errorf("connected: %v", connected)
			}
			if !d.talk(room, session) {
				t.Errorf("who hears whom: %+v", w.Sim.Hears(room))
			}
			c.hangUp(d, session)
			s = w.cleared(phone)
			if s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || s.Ended.Data.GetReason() != c.reason {
				t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
			}
			w.ended(phone)
			d.dialEnded(session)
			w.idle()
		})
	}
}

func TestACallerForWhomNobodyIsHadIsMissed(t *testing.T) {
	w := start(t, bot(2, "--never-join"), withTarget(false), withRoute(func(r *config.Route) { r.AnswerBudget, r.Overflow = time.Second, "support" }))
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "CallForwarded")
	d := w.desk(phone)
	d.writes(&callv1.TransferRequested{N: 1, Target: "support", Numbers: []*callv1.TransferNumber{{To: operator, Target: "support"}}},
		&callv1.TransferMissed{N: 1, K: 1, Cause: "no_answer"}, &callv1.TransferFailed{N: 1, Reason: "no_answer"})
	if s := w.cleared(phone); s.Ended.Data.GetOutcome() != callv1.Outcome_OUTCOME_MISSED || s.Ended.Data.GetReason() != "nobody" {
		t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
	}
	w.ended(phone)
	w.idle()
}

// Whoever it is after whom Daily drops the legs.
func TestTheBotOfACallerWhoWasHandedOverGoesWhereItIsTo(t *testing.T) {
	for _, drop := range []string{"last-owner", "last-web"} {
		for _, owner := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, the bot is an owner: %t", drop, owner), func(t *testing.T) {
				t.Parallel()
				agent := bot(2)
				agent.Owner = owner
				w := start(t, agent, withTarget(true), withSim(func(c *sim.Config) { c.LegsDrop = drop }))
				phone := w.connected(w.place(sim.CallSpec{From: caller}))
				w.expect(phone, "CallConnected")
				d, room := w.desk(phone), w.state(phone).Forwarded.Data.GetRoom()
				session := d.calls(room, true)
				d.joins(session)
				w.expect(phone, "BotExited.1")
				w.wait("the bot to be gone", func() bool { return len(w.Sim.Hears(room)) == 2 })
				if !d.talk(room, session) {
					t.Errorf("who hears whom: %+v", w.Sim.Hears(room))
				}
				if err := w.Sim.Hangup(phone.ID); err != nil {
					t.Fatal(err)
				}
				if s := w.cleared(phone); s.Ended.Data.GetReason() != "caller_hung_up" || len(s.Attempts) != 1 {
					t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
				}
				d.dialEnded(session)
				w.idle()
			})
		}
	}
}

func TestABridgeIsReplacedAndHearsNothing(t *testing.T) {
	w := start(t, bot(2, "--die-after=3s"), withTarget(false))
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "CallConnected")
	d, room := w.desk(phone), w.state(phone).Forwarded.Data.GetRoom()
	session := d.calls(room, false)
	d.joins(session)
	w.expect(phone, "BotExited.1")
	w.expect(phone, "BotReady.2")
	if live := w.Sim.Stats().Bots.Live; live != 1 {
		t.Errorf("%d bots in the room", live)
	}
	if !d.talk(room, session) {
		t.Errorf("who hears whom: %+v", w.Sim.Hears(room))
	}
	if err := w.Sim.HangupDial(session); err != nil {
		t.Fatal(err)
	}
	if s := w.cleared(phone); s.Ended.Data.GetReason() != "operator_hung_up" {
		t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
	}
	w.ended(phone)
	w.idle()
}

func TestWhoRingsWhenTheCallerHangsUpIsHungUpOn(t *testing.T) {
	w := start(t, bot(1), withTarget(false))
	if err := w.Sim.SetCallee(sim.Callee{Number: operator, Dials: []sim.Behaviour{{Does: "no-answer"}}}); err != nil {
		t.Fatal(err)
	}
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "CallConnected")
	d := w.desk(phone)
	session := d.calls(w.state(phone).Forwarded.Data.GetRoom(), false)
	w.expect(phone, "LegConnected."+session)
	began := time.Now()
	if err := w.Sim.Hangup(phone.ID); err != nil {
		t.Fatal(err)
	}
	d.dialEnded(session)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("hung up on after %s", took)
	}
	if s := w.cleared(phone); s.Ended.Data.GetReason() != "caller_hung_up" {
		t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
	}
	w.idle()
}

func TestAnOperatorOfWhomDailyTellsNothingIsSeen(t *testing.T) {
	w := start(t, bot(1), withTarget(false), attentive)
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "CallConnected")
	if err := w.Sim.SetFaults(sim.Faults{Events: sim.WebhookFaults{Lose: 1}}); err != nil {
		t.Fatal(err)
	}
	d := w.desk(phone)
	session := d.calls(w.state(phone).Forwarded.Data.GetRoom(), false)
	seen, ok := w.expect(phone, "LegSeen."+session).Data.(*callv1.LegSeen)
	if !ok || seen.GetUserId() != call.OperatorID(w.id(phone), 1, 1) {
		t.Errorf("seen: %v", seen)
	}
	d.writes(&callv1.TransferAnswered{N: 1, K: 1, SessionId: session}, &callv1.TransferCompleted{N: 1, K: 1})
	if s := w.state(phone); s.LegsAlive() != 1 || !s.OperatorIn() {
		t.Errorf("%d of the caller's legs, an operator: %t", s.LegsAlive(), s.OperatorIn())
	}
	w.wait("the operator to answer", func() bool {
		dial, _ := w.Sim.Dial(session)
		return dial.AnsweredAt != nil
	})
	if err := w.Sim.HangupDial(session); err != nil {
		t.Fatal(err)
	}
	w.expect(phone, "LegLost."+session)
	if s := w.cleared(phone); s.Ended.Data.GetReason() != "operator_hung_up" {
		t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
	}
	w.ended(phone)
	w.idle()
}

// The process that dials dies before it can say whom, and Daily tells nothing.
func TestAnOperatorOfWhomNobodyKnowsIsNotLeftBehind(t *testing.T) {
	w := start(t, bot(1), withTarget(false))
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "CallConnected")
	d, room := w.desk(phone), w.state(phone).Forwarded.Data.GetRoom()
	if err := w.Sim.SetFaults(sim.Faults{Events: sim.WebhookFaults{Lose: 1}}); err != nil {
		t.Fatal(err)
	}
	d.writes(&callv1.TransferRequested{N: 1, Mode: config.ModeCold}, &callv1.TransferStarting{N: 1, K: 1, Room: room})
	session, err := d.account.StartDialOut(t.Context(), room, daily.DialOut{PhoneNumber: operator, UserID: call.OperatorID(w.id(phone), 1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Control().EndCall(t.Context(), &controlv1.EndCallRequest{Id: w.id(phone)}); err != nil {
		t.Fatal(err)
	}
	w.cleared(phone)
	d.dialEnded(session)
	if dial, _ := w.Sim.Dial(session); dial.Why != "room-deleted" {
		t.Errorf("ended because of %s", dial.Why)
	}
	w.ended(phone)
}

func TestABotThatEndsWhileItsCallerIsHandedOverEndsItself(t *testing.T) {
	dir := t.TempDir()
	agent := bot(1)
	agent.Command = []string{"/bin/sh", "-c", `cat > "$0/part-$1" && mv "$0/part-$1" "$0/$1" && exec "$2" sim bot < "$0/$1"`, dir, "{{.CallID}}-{{.Attempt}}", "{{.Self}}"}
	w := start(t, agent, withTarget(false))
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(phone, "CallConnected")
	ours := w.job(dir, phone, 1).Body.Trunkline
	if ours.TransferURL != w.Config.TransferURL() || ours.Bridge {
		t.Errorf("the job: %+v", ours)
	}
	d := w.desk(phone)
	d.writes(&callv1.TransferRequested{N: 1, Mode: config.ModeCold})
	for path, body := range map[string]any{"end": map[string]string{"reason": "handed over"}, "event": map[string]any{"seq": 1, "type": "dialin.stopped"}} {
		if status, word := w.ask(ours.Token, path, body); status != 200 {
			t.Errorf("%s: %d %s", path, status, word)
		}
	}
	if s := w.state(phone); s.EndAsked != nil || s.Ended != nil {
		t.Errorf("the end was asked for\n%s", w.told(phone))
	}
	d.writes(&callv1.TransferFailed{N: 1, Reason: "no_answer"})
	for range 2 {
		if status, word := w.ask(ours.Token, "end", map[string]string{"reason": "goodbye"}); status != 200 && status != 410 {
			t.Errorf("end: %d %s", status, word)
		}
	}
	if s := w.cleared(phone); s.Ended.Data.GetReason() != "bot_ended" || s.Ended.Data.GetDetail() != "goodbye" {
		t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
	}
	w.ended(phone)
	w.idle()
}

// As for a bot's room, without a bot that would tell anything.
func TestAForwardIntoAPersonsRoomIsSettled(t *testing.T) {
	for phrase, c := range map[string]struct {
		fault    sim.Fault
		hangUp   bool // before the forward
		requests int
		reason   string
	}{
		"Daily has not acted":            {sim.Fault{Kind: "drop"}, false, 2, "nobody"},
		"Daily has acted":                {sim.Fault{Kind: "drop", When: "after"}, false, 1, "nobody"},
		"Daily refuses":                  {sim.Fault{Kind: "status", Status: 400}, false, 1, "no_bot"},
		"the caller has gone meanwhile":  {sim.Fault{Kind: "slow", Delay: sim.Duration(time.Millisecond)}, true, 1, "caller_gone"},
		"he has gone while it was tried": {sim.Fault{Kind: "drop"}, true, 2, "caller_gone"},
	} {
		t.Run(phrase, func(t *testing.T) {
			t.Parallel()
			w := start(t, bot(1, "--never-join"), withTarget(false), settlesWithin(3*time.Second),
				withRoute(func(r *config.Route) { r.AnswerBudget, r.Overflow = time.Second, "support" }))
			c.fault.Match, c.fault.Times = forwardRequest, 1
			w.faults(c.fault)
			phone := w.place(sim.CallSpec{From: caller})
			if c.hangUp {
				if err := w.Sim.Hangup(phone.ID); err != nil {
					t.Fatal(err)
				}
			}
			if c.reason == "nobody" {
				w.connected(phone)
				w.expect(phone, "CallForwarded")
				w.desk(phone).writes(&callv1.TransferRequested{N: 1, Mode: config.ModeCold}, &callv1.TransferFailed{N: 1, Reason: "no_answer"})
			}
			if s := w.cleared(phone); s.Ended.Data.GetReason() != c.reason {
				t.Errorf("ended with %s\n%s", s.Ended.Data, w.told(phone))
			}
			if requests := w.forwards(phone); len(requests) != c.requests {
				t.Errorf("the requests to forward: %+v", requests)
			}
			w.idle()
		})
	}
}
