// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/admission"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// Check holds the promise against what the simulator and the record say, and gives what is wrong.
func (w *World) Check(phones []sim.Call) (wrong []string) {
	return w.CheckBut(phones, func(sim.Call) bool { return false })
}

// CheckBut is Check where bots had to go: those calls may have lost a bot that was in them, and be over for it.
func (w *World) CheckBut(phones []sim.Call, lostBot func(sim.Call) bool) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	forwarded, patience := 0, time.Now().Add(w.Patience) // for all of them together
	for _, phone := range phones {
		told := w.ID(phone)
		if slices.ContainsFunc(phone.Webhooks, func(d sim.Delivery) bool { return d.Status == 200 }) && !w.ended(told, time.Until(patience)) {
			say("call %s has not ended\n%s", told, w.Told(phone))
		}
		if phone.ForwardedAt != nil {
			forwarded++
		} else if phone.Held.Std() >= 60*time.Second {
			say("call %s held for %s and was not forwarded\n%s", told, phone.Held, w.Told(phone))
		}
		if phone.Legs > 1 || len(phone.Rooms) > 1 {
			say("call %s had %d legs in %v\n%s", told, phone.Legs, phone.Rooms, w.Told(phone))
		}
		if phone.ConnectedAt != nil && phone.Why != "hung-up" && !lostBot(phone) {
			say("call %s was cut off: %s\n%s", told, phone.Why, w.Told(phone))
		}
		wrong = append(wrong, w.bots(phone, lostBot(phone))...)
	}
	for _, d := range w.Called() {
		wrong = append(wrong, w.checkCalled(d, time.Until(patience))...)
	}
	if forwarded*100 < 95*len(phones) {
		say("%d of %d callers were forwarded", forwarded, len(phones))
	}
	if left := w.Await(w.Patience, w.Left); left != "" {
		say("not cleared up: %s", left)
	}
	if live := w.Sim.Stats().Bots.MaxStayed; live > w.Slots {
		say("%d bots were in rooms at once, with %d slots", live, w.Slots)
	}
	letters, err := bus.ListDeadLetters(w.T.Context(), w.JS)
	if err != nil || len(letters) > 0 {
		say("dead letters: %v, %v", letters, err)
	}
	return append(wrong, w.twice()...)
}

// bots gives what is wrong with a call's bots: one in a call neither goes nor is replaced, unless it had to go, and no
// attempt has two.
func (w *World) bots(phone sim.Call, lostBot bool) (wrong []string) {
	story, err := w.Bus.Story(w.T.Context(), w.ID(phone))
	if err != nil {
		return []string{err.Error()}
	}
	sessions := map[string]int{}
	for _, e := range story.Events {
		if joined, ok := e.Data.(*callv1.ParticipantJoined); ok {
			sessions[joined.GetUserId()]++
		}
	}
	for id, n := range sessions {
		if _, _, bot := call.ParseBot(id); bot && n > 1 {
			wrong = append(wrong, fmt.Sprintf("call %s had %d bots for one attempt\n%s", w.ID(phone), n, w.Told(phone)))
		}
	}
	if lostBot || phone.ConnectedAt == nil {
		return wrong
	}
	if phone.Alone > 0 {
		wrong = append(wrong, fmt.Sprintf("call %s was without a bot for %s\n%s", w.ID(phone), phone.Alone, w.Told(phone)))
	}
	if slices.ContainsFunc(story.Events, replacedBefore(phone.EndedAt)) {
		wrong = append(wrong, fmt.Sprintf("call %s had its bot replaced\n%s", w.ID(phone), w.Told(phone)))
	}
	return wrong
}

// replacedBefore finds the decision that a call wants another bot in the same room. Once the caller has hung up, which the
// record may learn late, it harms nobody.
func replacedBefore(ended *time.Time) func(*bus.Event) bool {
	return func(e *bus.Event) bool {
		again, ok := e.Data.(*callv1.AttemptRequested)
		return ok && again.GetPlace() == callv1.Place_PLACE_SAME_ROOM && (ended == nil || e.Time.Before(*ended))
	}
}

// twice gives the subjects that hold more than one event.
func (w *World) twice() (wrong []string) {
	stream, err := w.JS.Stream(w.T.Context(), bus.Stream)
	if err != nil {
		return []string{err.Error()}
	}
	info, err := stream.Info(w.T.Context(), jetstream.WithSubjectFilter("calls.>"))
	if err != nil {
		return []string{err.Error()}
	}
	for subject, n := range info.State.Subjects {
		if n > 1 {
			wrong = append(wrong, fmt.Sprintf("%s was written %d times", subject, n))
		}
	}
	return wrong
}

// ended waits until the call has ended on the record. Many may wait at once: they do not look often.
func (w *World) ended(callID string, patience time.Duration) bool {
	return w.await(patience, 500*time.Millisecond, func() string {
		story, err := w.Bus.Story(w.T.Context(), callID)
		if err != nil {
			return err.Error()
		}
		if !story.Ended() {
			return "not ended"
		}
		return ""
	}) == ""
}

// Left is what is still there although all calls are over; empty is nothing.
func (w *World) Left() string {
	var left []string
	stats := w.Sim.Stats()
	if stats.Bots.Live+stats.Legs+stats.RoomsInUse > 0 {
		left = append(left, fmt.Sprintf("%d bots, %d legs, %d rooms in use", stats.Bots.Live, stats.Legs, stats.RoomsInUse))
	}
	for _, bucket := range []string{"slots", "jobs"} {
		kv, err := w.JS.KeyValue(w.T.Context(), bucket)
		if err != nil {
			return err.Error()
		}
		keys, err := kv.ListKeys(w.T.Context())
		if err != nil {
			return err.Error()
		}
		for key := range keys.Keys() {
			left = append(left, bucket+" "+key)
		}
	}
	places, err := admission.Open(w.T.Context(), w.JS, admission.Limits{}, time.Now)
	if err != nil {
		return err.Error()
	}
	holders, err := places.Holders(w.T.Context())
	if err != nil {
		return err.Error()
	}
	if len(holders) > 0 {
		left = append(left, fmt.Sprintf("%d places of dial-outs", len(holders)))
	}
	if n := w.Processes(); n > 0 {
		left = append(left, fmt.Sprintf("%d processes of bots", n))
	}
	return strings.Join(left, ", ")
}
