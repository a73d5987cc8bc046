// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/call-control/admission"
)

const number = "+14155550123"

func (w *world) claim(i int, call string, attempt uint32) (bool, time.Time) {
	w.Helper()
	ok, until, err := w.one(i).Claim(w.Context(), number, call, attempt)
	if err != nil {
		w.Fatal(err)
	}
	return ok, until
}

func TestTheLimitOfANumberHoldsWhenAllClaimAtOnce(t *testing.T) {
	const calls, limit = 500, 7
	w := newWorld(t, admission.Limits{PerNumber: limit, Window: time.Hour}, 0)
	var claimed atomic.Int32
	took := together(calls, func(i int) {
		ok, until, err := w.one(i).Claim(w.Context(), number, name(i), 1)
		switch {
		case err != nil:
			t.Error(err)
		case ok:
			claimed.Add(1)
		case !until.Equal(epoch.Add(time.Hour)):
			t.Errorf("until %s", until)
		}
	})
	t.Logf("%d dials of a number claimed at once in %s", calls, took.Round(time.Millisecond))
	if claimed.Load() != limit {
		t.Errorf("%d dials of %d", claimed.Load(), limit)
	}
}

func TestADialCountsForTheWindowAndOnce(t *testing.T) {
	w := newWorld(t, admission.Limits{PerNumber: 2, Window: time.Hour}, 0)
	for i := range 4 {
		if ok, _ := w.claim(i, "first", 1); !ok {
			t.Fatal("the same claim")
		}
	}
	w.pass(10 * time.Minute)
	if ok, _ := w.claim(0, "first", 2); !ok {
		t.Error("the second is within the limit")
	}
	w.pass(10 * time.Minute)
	if ok, until := w.claim(1, "first", 3); ok || !until.Equal(epoch.Add(time.Hour)) {
		t.Errorf("the third: %t, until %s", ok, until)
	}
	if ok, _ := w.claim(1, "first", 2); !ok {
		t.Error("a claim that there is, at the limit")
	}
	w.until(epoch.Add(time.Hour))
	if ok, _ := w.claim(2, "first", 3); !ok {
		t.Error("the first does not count any more")
	}
	if ok, until := w.claim(0, "second", 1); ok || !until.Equal(epoch.Add(70*time.Minute)) {
		t.Errorf("the fourth: %t, until %s", ok, until)
	}
}

func TestADialTakenBackDoesNotCount(t *testing.T) {
	w := newWorld(t, admission.Limits{PerNumber: 1, Window: time.Hour}, 0)
	unclaim := func(i int, call string) {
		t.Helper()
		if err := w.one(i).Unclaim(t.Context(), number, call, 1); err != nil {
			t.Fatal(err)
		}
	}
	unclaim(0, "nobody")
	w.claim(1, "first", 1)
	unclaim(2, "another")
	if ok, _ := w.claim(0, "second", 1); ok {
		t.Error("another's claim was taken back")
	}
	unclaim(2, "first")
	unclaim(1, "first")
	if ok, _ := w.claim(0, "second", 1); !ok {
		t.Error("nobody was dialled")
	}
	if ok, _ := w.claim(1, "first", 1); ok {
		t.Error("what was taken back is claimed anew, and not within the limit")
	}
}

func TestNoKeyTellsANumberAndEachKeyEnds(t *testing.T) {
	w := newWorld(t, admission.Limits{PerNumber: 2, Window: time.Hour}, 0)
	for attempt := range uint32(2) { // created, and changed
		w.claim(0, "first", attempt)
		js := w.server.Connect()
		stream, err := js.Stream(t.Context(), "KV_dialouts")
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.GetLastMsgForSubject(t.Context(), "$KV.dialouts.number.>")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(msg.Subject, number[1:]) || strings.Contains(string(msg.Data), number[1:]) {
			t.Errorf("%s: %s", msg.Subject, msg.Data)
		}
		if ttl := msg.Header.Get("Nats-TTL"); ttl != "1h1m0s" {
			t.Errorf("time to live: %q", ttl)
		}
	}
}
