// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/call-control/admission"
)

const (
	operatorNumber = "+14155550177"
	otherNumber    = "+14155550178"
)

// operators is a world in which callers can be handed over, and calls are there to ask for legs.
func operators(t *testing.T, change ...func(*config.Config)) *world {
	return newWorld(t, append([]func(*config.Config){func(cfg *config.Config) {
		cfg.Policy.Countries = []string{"US"}
		cfg.Policy.Hours = config.Hours{}
		cfg.Policy.PerSecond, cfg.Policy.MaxConcurrent, cfg.Daily.Budget.Unlimited = 0, 10, true
	}}, change...)...)
}

// handing is a call that is there, for which somebody is asked for.
func (w *world) handing(name string, numbers ...*callv1.TransferNumber) (callID string) {
	w.t.Helper()
	callID = bus.CallID("domain", name)
	w.publish(callID, comesIn(time.Minute, time.Hour))
	w.publish(callID, connects()...)
	expectEvent[*callv1.CallConnected](w, callID, "CallConnected")
	if len(numbers) == 0 {
		numbers = []*callv1.TransferNumber{{To: operatorNumber}, {To: otherNumber}}
	}
	w.publish(callID, &callv1.TransferRequested{N: 1, Mode: config.ModeCold, Numbers: numbers})
	return callID
}

// admit asks for a leg, as transfer-service does, and tells the answer in a word or two.
func (w *world) admit(req *controlv1.AdmitLegRequest) string {
	w.t.Helper()
	signed, err := (auth.Tokens{Secrets: secrets.TrunklineSecret}).SignService("transfer-service")
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.clientOf(signed).AdmitLeg(w.t.Context(), req)
	if err != nil {
		return connect.CodeOf(err).String()
	}
	if res.GetDecision() == controlv1.Decision_DECISION_WAIT && !res.GetUntil().AsTime().After(time.Now().Add(-time.Second)) {
		w.t.Errorf("wait until %s", res.GetUntil().AsTime())
	}
	return map[controlv1.Decision]string{
		controlv1.Decision_DECISION_ALLOW: "allow", controlv1.Decision_DECISION_WAIT: "wait", controlv1.Decision_DECISION_REFUSE: "refuse",
	}[res.GetDecision()] + suffix(res.GetRule())
}

func suffix(rule string) string {
	if rule != "" {
		return " " + rule
	}
	return ""
}

// held are the holders of places.
func (w *world) held() []string {
	w.t.Helper()
	a, err := admission.Open(w.t.Context(), w.control.JS, admission.Limits{}, time.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	holders, err := a.Holders(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for name := range holders {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (w *world) wantHeld(phrase string, want ...string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%s: %v have places", phrase, want), func() bool { return slices.Equal(w.held(), want) })
}

func TestTheRulesForAnOperatorsLeg(t *testing.T) {
	now := time.Now().UTC()
	w := operators(t, func(cfg *config.Config) {
		cfg.Policy.BlockedPrefixes = []string{"+1415555018"}
		// Closed now, wherever in the country the number is.
		cfg.Policy.Hours = config.Hours{Days: []string{[]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[(int(now.Weekday())+3)%7]}}
	})
	callID := w.handing("call")
	for phrase, c := range map[string]struct {
		to     string
		target bool
		want   string
	}{
		"a target's number has hours of its own": {operatorNumber, true, "allow"},
		"another number is bound to the hours":   {operatorNumber, false, "wait hours"},
		"a target's number is in no country":     {"+442079460123", true, "refuse country"},
		"a target's number is blocked":           {"+14155550187", true, "refuse prefix"},
		"what is no number is refused":           {"12345", true, "refuse number"},
		"a SIP URI is no number":                 {"sip:desk@example.com", true, "allow"},
		"a SIP URI that was named is none":       {"sip:desk@example.com", false, "allow"},
	} {
		if got := w.admit(&controlv1.AdmitLegRequest{Call: callID, N: 1, K: 1, To: c.to, Target: c.target}); got != c.want {
			t.Errorf("%s: %s, want %s", phrase, got, c.want)
		}
	}
	for phrase, c := range map[string]struct {
		req  *controlv1.AdmitLegRequest
		want connect.Code
	}{
		"a call that is not there": {&controlv1.AdmitLegRequest{Call: bus.CallID("no", "such"), N: 1, K: 1, To: operatorNumber}, connect.CodeNotFound},
		"no number of a transfer":  {&controlv1.AdmitLegRequest{Call: callID, N: 1, To: operatorNumber}, connect.CodeInvalidArgument},
		"nobody":                   {&controlv1.AdmitLegRequest{Call: callID, N: 1, K: 1}, connect.CodeInvalidArgument},
	} {
		if got := w.admit(c.req); got != c.want.String() {
			t.Errorf("%s: %s, want %s", phrase, got, c.want)
		}
	}
	if _, err := w.client.AdmitLeg(t.Context(), &controlv1.AdmitLegRequest{Call: callID, N: 1, K: 1, To: operatorNumber}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("with an API key: %v", err)
	}
}

func TestAnOperatorsLegIsCountedOnceAndAsLongAsItLasts(t *testing.T) {
	for phrase, over := range map[string][]proto.Message{
		"it was missed":              {&callv1.TransferStarting{N: 1, K: 1}, &callv1.TransferMissed{N: 1, K: 1, Cause: "no_answer"}},
		"it has left":                {&callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"}, &callv1.LegConnected{SessionId: "operator", Dialled: true}, &callv1.LegEnded{SessionId: "operator"}},
		"it was lost":                {&callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"}, &callv1.LegConnected{SessionId: "operator", Dialled: true}, &callv1.LegLost{SessionId: "operator"}},
		"the transfer was cancelled": {&callv1.TransferCancelled{N: 1}},
		"the call is over":           {&callv1.LegEnded{SessionId: "leg"}},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := operators(t, func(cfg *config.Config) { cfg.Policy.MaxConcurrent = 1 })
			callID, next := w.handing("call"), w.handing("next")
			ask := &controlv1.AdmitLegRequest{Call: callID, N: 1, K: 1, To: operatorNumber, Target: true}
			for range 3 {
				if got := w.admit(ask); got != "allow" {
					t.Fatalf("asked for: %s", got)
				}
			}
			w.wantHeld("asked for three times", callID+".t1.1")
			if got := w.admit(&controlv1.AdmitLegRequest{Call: next, N: 1, K: 1, To: operatorNumber, Target: true}); got != "wait concurrency" {
				t.Errorf("where one is allowed, a second one: %s", got)
			}
			w.publish(callID, over...)
			w.wantHeld(phrase)
			eventually(t, "the next leg has its turn", func() bool {
				return w.admit(&controlv1.AdmitLegRequest{Call: next, N: 1, K: 1, To: operatorNumber, Target: true, Waited: true}) == "allow"
			})
			if got := w.admit(ask); got != connect.CodeFailedPrecondition.String() {
				t.Errorf("asked for when it is over: %s", got)
			}
			w.wantHeld("then", next+".t1.1")
		})
	}
}

func TestWhoTookTheCallKeepsThePlaceAndTheOthersGiveItBack(t *testing.T) {
	w := operators(t)
	callID := w.handing("call")
	for k := range uint32(2) {
		if got := w.admit(&controlv1.AdmitLegRequest{Call: callID, N: 1, K: k + 1, To: operatorNumber, Target: true}); got != "allow" {
			t.Fatal(got)
		}
	}
	w.publish(callID, &callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"}, &callv1.TransferStarted{N: 1, K: 2, SessionId: "other"},
		&callv1.LegConnected{SessionId: "operator", UserId: call.OperatorID(callID, 1, 1), Dialled: true}, &callv1.TransferCompleted{N: 1, K: 1})
	w.wantHeld("the caller was handed over", callID+".t1.1")
	w.publish(callID, &callv1.LegEnded{SessionId: "operator", Dialled: true})
	wantEnd(t, w, callID, callv1.Outcome_OUTCOME_COMPLETED, "operator_hung_up")
	w.wantHeld("the operator has left")
}

func TestANumberThatWasNamedIsCalledAsOftenAsAnyOther(t *testing.T) {
	w := operators(t, func(cfg *config.Config) { cfg.Policy.PerNumber = config.PerNumber{Calls: 1, Window: time.Hour} })
	named := &callv1.TransferNumber{To: operatorNumber, Named: true}
	first, second := w.handing("first", named), w.handing("second", named)
	ask := func(callID string, target bool) string {
		return w.admit(&controlv1.AdmitLegRequest{Call: callID, N: 1, K: 1, To: operatorNumber, Target: target})
	}
	if got := ask(first, false); got != "allow" {
		t.Fatal(got)
	}
	if got := ask(second, false); got != "wait per_number" {
		t.Errorf("called once already: %s", got)
	}
	w.wantHeld("who may not be called has no place", first+".t1.1")
	if got := ask(second, true); got != "allow" {
		t.Errorf("as a target: %s", got)
	}
	w.publish(first, &callv1.TransferCancelled{N: 1})
	eventually(t, "who was not called after all does not count", func() bool { return ask(second, false) == "allow" })
}

func TestAPlaceThatNobodyGaveBackIsFound(t *testing.T) {
	w := operators(t)
	callID := w.handing("call")
	if got := w.admit(&controlv1.AdmitLegRequest{Call: callID, N: 1, K: 1, To: operatorNumber, Target: true}); got != "allow" {
		t.Fatal(got)
	}
	w.stop()
	w.publish(callID, &callv1.TransferStarting{N: 1, K: 1}, &callv1.TransferMissed{N: 1, K: 1})
	w.wantHeld("while nobody looks", callID+".t1.1")
	w.start()
	w.wantHeld("when somebody does")
}
