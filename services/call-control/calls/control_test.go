// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

func wantEnd(t *testing.T, w *world, callID string, outcome callv1.Outcome, reason string) {
	t.Helper()
	if e := expectEvent[*callv1.CallEnded](w, callID, "CallEnded"); e.GetOutcome() != outcome || e.GetReason() != reason {
		t.Errorf("ended %s, %s (%s); want %s, %s", e.GetOutcome(), e.GetReason(), e.GetDetail(), outcome, reason)
	}
}

func TestACallFromItsFirstWordToItsLast(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Minute, time.Hour))
	w.publish("call", connects()...)
	if c := expectEvent[*callv1.CallConnected](w, "call", "CallConnected"); c.GetAttempt() != 1 || c.GetSessionId() != "leg" {
		t.Errorf("connected: %v", c)
	}
	w.publish("call", &callv1.LegEnded{SessionId: "leg"})
	wantEnd(t, w, "call", callv1.Outcome_OUTCOME_COMPLETED, calls.CallerHungUp)
}

func TestAFailedAttemptIsFollowedByAnother(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Minute, time.Hour), &callv1.RoomFailed{Attempt: 1, Reason: "Daily is down"})
	if a := expectEvent[*callv1.AttemptRequested](w, "call", "AttemptRequested.2"); a.GetPlace() != callv1.Place_PLACE_NEW_ROOM || a.GetAgent() != "sales" || a.GetReason() != "no room: Daily is down" {
		t.Errorf("second attempt: %v", a)
	}
	w.publish("call", &callv1.BotFailed{Attempt: 2, Reason: "late"})
	start := time.Now()
	expectEvent[*callv1.AttemptRequested](w, "call", "AttemptRequested.3")
	if paused := time.Since(start); paused < 300*time.Millisecond {
		t.Errorf("the third attempt came after %s", paused)
	}
}

func TestABotThatDiesInTheCallIsReplacedInTheSameRoom(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Minute, time.Hour))
	w.publish("call", connects()...)
	expectEvent[*callv1.CallConnected](w, "call", "CallConnected")
	w.publish("call", &callv1.BotExited{Attempt: 1, Status: 137, Reason: "killed"})
	if a := expectEvent[*callv1.AttemptRequested](w, "call", "AttemptRequested.2"); a.GetPlace() != callv1.Place_PLACE_SAME_ROOM {
		t.Errorf("second attempt: %v", a)
	}
}

func TestTheBudgetEndsACallThatNobodyAnswers(t *testing.T) {
	w := newWorld(t)
	w.publish("missed", comesIn(300*time.Millisecond, time.Hour))
	w.publish("long", comesIn(time.Minute, 300*time.Millisecond))
	w.publish("long", connects()...)
	wantEnd(t, w, "missed", callv1.Outcome_OUTCOME_MISSED, calls.NoBot)
	wantEnd(t, w, "long", callv1.Outcome_OUTCOME_COMPLETED, calls.MaxDuration)
}

func TestACallerWhoseReplacementGetsNoSlotIsNotKeptForLongerThanTheBudget(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Second, time.Hour))
	w.publish("call", connects()...)
	w.publish("call", &callv1.BotExited{Attempt: 1, Status: 1})
	expectEvent[*callv1.AttemptRequested](w, "call", "AttemptRequested.2")
	wantEnd(t, w, "call", callv1.Outcome_OUTCOME_FAILED, calls.BotLost)
}

func TestABotThatLeavesEndsTheCallAfterAMoment(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Minute, time.Hour))
	w.publish("call", connects()...)
	expectEvent[*callv1.CallConnected](w, "call", "CallConnected")
	start := time.Now()
	w.publish("call", &callv1.BotExited{Attempt: 1})
	wantEnd(t, w, "call", callv1.Outcome_OUTCOME_COMPLETED, calls.BotEnded)
	if took := time.Since(start); took < exitGrace-100*time.Millisecond {
		t.Errorf("ended after %s", took)
	}
}

func TestAWishForTheEndIsGranted(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Minute, time.Hour), &callv1.EndRequested{Reason: "closed today"})
	wantEnd(t, w, "call", callv1.Outcome_OUTCOME_ABANDONED, "closed today")
}

func TestWhatHappensAtOnceEndsACallOnce(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Minute, time.Hour))
	w.publish("call", connects()...)
	expectEvent[*callv1.CallConnected](w, "call", "CallConnected")
	var group sync.WaitGroup
	group.Go(func() { w.publish("call", &callv1.LegEnded{SessionId: "leg"}) })
	group.Go(func() { w.publish("call", &callv1.LegLost{SessionId: "leg"}) })
	group.Go(func() { w.publish("call", &callv1.ParticipantLeft{SessionId: "leg"}) })
	group.Go(func() { w.publish("call", &callv1.EndRequested{Reason: "goodbye"}) })
	group.Wait()
	expectEvent[*callv1.CallEnded](w, "call", "CallEnded")
	w.publish("last", comesIn(time.Minute, time.Hour), &callv1.EndRequested{Reason: "x"})
	expectEvent[*callv1.CallEnded](w, "last", "CallEnded")
	w.stop() // which lets every handler finish
	story, err := w.control.Story(t.Context(), "call")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := w.control.JS.Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	// A story has one event of a subject at most: the stream tells whether there were two.
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(len(story.Events) + 3); info.State.Msgs != want {
		t.Errorf("the stream holds %d messages, want %d", info.State.Msgs, want)
	}
	for _, e := range story.Events {
		if e.Name == "AttemptRequested" {
			t.Errorf("%s in a call that ended", e.Key())
		}
	}
}

func TestAClockBehindTheBrokersStillEndsTheCall(t *testing.T) {
	server := bustest.Start(t)
	js := server.Setup(calls.Service.Needs)
	w := newWorldWithout(t, js)
	timers := timer.Timers{Bus: bus.New("call-control", js, slog.New(slog.DiscardHandler), nil)}
	c := &calls.Control{Bus: w.control, Timers: timers, Now: func() time.Time { return time.Now().Add(-800 * time.Millisecond) }}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := w.control.Consume(ctx, c.Handlers()...); err != nil {
			t.Error(err)
		}
	})
	group.Go(func() {
		if err := timers.Run(ctx, map[string]timer.Handler{"limit": c.Limit}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	w.publish("call", comesIn(300*time.Millisecond, time.Hour))
	wantEnd(t, w, "call", callv1.Outcome_OUTCOME_MISSED, calls.NoBot)
}

func TestACallerForWhomNoBotIsHadMeetsAPerson(t *testing.T) {
	w := newWorld(t)
	with := func(name string) {
		received := comesIn(300*time.Millisecond, time.Hour)
		received.Overflow = "reception"
		w.publish(name, received)
		if a := expectEvent[*callv1.AttemptRequested](w, name, "AttemptRequested.2"); a.GetPlace() != callv1.Place_PLACE_PERSON || a.GetAgent() != "sales" {
			t.Errorf("the last step: %v", a)
		}
		w.publish(name, &callv1.RoomReady{Attempt: 2}, &callv1.ForwardStarted{Attempt: 2}, &callv1.CallForwarded{Attempt: 2}, &callv1.LegConnected{SessionId: "leg"},
			&callv1.TransferRequested{N: 1, Target: "reception", Mode: "cold", Numbers: []*callv1.TransferNumber{{To: "+14155550177", Target: "reception"}}},
			&callv1.TransferStarting{N: 1, K: 1}, &callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"})
	}
	with("answered")
	w.publish("answered", &callv1.LegAnswered{SessionId: "operator", Dialled: true}, &callv1.TransferAnswered{N: 1, K: 1}, &callv1.TransferCompleted{N: 1, K: 1})
	if c := expectEvent[*callv1.CallConnected](w, "answered", "CallConnected"); c.GetAttempt() != 2 || c.GetSessionId() != "leg" {
		t.Errorf("connected: %v", c)
	}
	w.publish("answered", &callv1.LegEnded{SessionId: "operator", Dialled: true})
	wantEnd(t, w, "answered", callv1.Outcome_OUTCOME_COMPLETED, calls.OperatorGone)

	with("unanswered")
	w.publish("unanswered", &callv1.TransferMissed{N: 1, K: 1, Cause: "no_answer"}, &callv1.TransferFailed{N: 1, Reason: "no_answer"})
	wantEnd(t, w, "unanswered", callv1.Outcome_OUTCOME_MISSED, calls.Nobody)
}

func TestACallerWhoWasSentAwayHasNotHungUp(t *testing.T) {
	w := newWorld(t)
	w.publish("call", comesIn(time.Minute, time.Hour))
	w.publish("call", connects()...)
	expectEvent[*callv1.CallConnected](w, "call", "CallConnected")
	w.publish("call", &callv1.TransferRequested{N: 1, Mode: "blind", Numbers: []*callv1.TransferNumber{{To: "+14155550177"}}},
		&callv1.TransferStarting{N: 1, K: 1, SessionId: "leg"}, &callv1.LegEnded{SessionId: "leg"}, &callv1.BotExited{Attempt: 1},
		&callv1.TransferCompleted{N: 1, K: 1, Moved: true}, &callv1.LegTransfer{SessionId: "leg", State: "answered"},
		&callv1.LegTransfer{SessionId: "leg", State: "completed"})
	wantEnd(t, w, "call", callv1.Outcome_OUTCOME_COMPLETED, calls.Transferred)
}
