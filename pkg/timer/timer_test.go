// SPDX-License-Identifier: Apache-2.0

package timer_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/timer"
)

const service = "call-control"

func start(t *testing.T) (timer.Timers, chan timer.ID) {
	t.Helper()
	js := bustest.Start(t).Setup(bus.Needs{Service: service, Timers: true})
	timers := timer.Timers{Bus: bus.New(service, js, slog.New(slog.DiscardHandler), nil)}
	fired := make(chan timer.ID, 16)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- timers.Run(ctx, map[string]timer.Handler{"budget": func(_ context.Context, f timer.Fired) error {
			fired <- f.ID
			return nil
		}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return timers, fired
}

func expect(t *testing.T, fired chan timer.ID, want timer.ID) {
	t.Helper()
	select {
	case got := <-fired:
		if got != want {
			t.Fatalf("fired %v, want %v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%v did not fire", want)
	}
}

func TestATimerFiresOnceAndNotEarly(t *testing.T) {
	timers, fired := start(t)
	id := timer.ID{Name: "budget", CallID: "abc", N: 2}
	due := time.Now().Add(300 * time.Millisecond)
	if err := timers.Set(t.Context(), id, due); err != nil {
		t.Fatal(err)
	}
	expect(t, fired, id)
	if early := time.Until(due); early > 0 {
		t.Errorf("fired %s early", early)
	}
}

func TestSettingAgainMovesAndCancellingTakesBack(t *testing.T) {
	timers, fired := start(t)
	moved, cancelled, last := timer.ID{Name: "budget", CallID: "moved"}, timer.ID{Name: "budget", CallID: "cancelled"}, timer.ID{Name: "budget", CallID: "last"}
	soon := time.Now().Add(400 * time.Millisecond)
	for id, at := range map[timer.ID]time.Time{moved: time.Now().Add(time.Hour), cancelled: soon, last: soon.Add(300 * time.Millisecond)} {
		if err := timers.Set(t.Context(), id, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := timers.Cancel(t.Context(), cancelled); err != nil {
		t.Fatal(err)
	}
	if err := timers.Set(t.Context(), moved, time.Now()); err != nil {
		t.Fatal(err)
	}
	expect(t, fired, moved)
	expect(t, fired, last) // and nothing between them
}
