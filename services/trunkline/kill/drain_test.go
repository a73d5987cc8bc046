// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// One scheduler alone: who calls meanwhile waits for the next one.
func TestBotSchedulerThatIsToldToStopWaitsForItsCalls(t *testing.T) {
	w := watched(t, options{slots: 4, more: "drain: 1m"})
	phone := w.Connected(w.Place(sim.CallSpec{}))
	w.Expect(phone, "CallConnected")
	gone := w.part("bot-scheduler").tell(syscall.SIGTERM)
	w.drains("admin-bot-scheduler")

	late := w.Place(sim.CallSpec{})
	w.writtenDown(late)
	w.During(2*time.Second, "while it waits", func() string {
		if w.part("bot-scheduler").alive() && w.Count(&callv1.BotStarting{}) == 1 && len(botsLiving()) == 1 {
			return ""
		}
		return w.inProgress()
	})
	w.HangUp(phone)
	if phone = w.HungUp(phone); phone.Why != "hung-up" || len(w.State(phone).Attempts) != 1 {
		t.Errorf("the call that was waited for ended because of %s\n%s", phone.Why, w.Told(phone))
	}
	w.ends(gone)
	if left := botsLiving(); len(left) > 0 {
		t.Errorf("it left behind %v", left)
	}
	w.part("bot-scheduler").start()
	w.HangUp(w.Connected(late))
	w.cleared()
}

// With another, nobody waits; and who talks for longer than can be waited for goes on with another bot there.
func TestAnotherBotSchedulerTakesOverFromOneThatIsToldToStop(t *testing.T) {
	const within = 2 * time.Second
	w := watched(t, options{slots: 4, agent: "lease: 5s, kill_grace: 1s", more: "drain: 4s"})
	talks := w.Connected(w.Place(sim.CallSpec{}))
	w.Expect(talks, "CallConnected")
	w.another("bot-scheduler", "gateway")
	gone := w.part("bot-scheduler").tell(syscall.SIGTERM)
	w.drains("admin-bot-scheduler")

	late := w.Connected(w.Place(sim.CallSpec{}))
	if took := late.ForwardedAt.Sub(late.StartedAt); took > within {
		t.Errorf("who called meanwhile held for %s\n%s", took, w.Told(late))
	}
	w.ends(gone)
	w.Expect(talks, "BotExited.1")
	w.Expect(talks, "BotReady.2")
	w.HangUp(talks, late)
	for _, phone := range []sim.Call{talks, late} {
		if now := w.HungUp(phone); now.Legs != 1 || now.Why != "hung-up" {
			t.Errorf("%d legs, ended because of %s\n%s", now.Legs, now.Why, w.Told(phone))
		}
	}
	if n := len(w.State(late).Attempts); n != 1 {
		t.Errorf("%d attempts for who called meanwhile", n)
	}
	w.cleared()
}

// drains waits until a service says that it takes no new calls.
func (w *world) drains(admin string) {
	w.T.Helper()
	w.Poll(storm.Soon, "it to take no new calls", func() string {
		res, err := http.Get(w.urls[admin] + "/readyz")
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "draining") {
			return fmt.Sprintf("%s %s %v", res.Status, text, err)
		}
		return ""
	})
}

// writtenDown waits until the call's first attempt is in the line.
func (w *world) writtenDown(phone sim.Call) {
	w.T.Helper()
	jobs, err := w.JS.KeyValue(w.T.Context(), "jobs")
	if err != nil {
		w.T.Fatal(err)
	}
	w.Poll(storm.Soon, "the call to be in the line", func() string {
		if _, err := jobs.Get(w.T.Context(), w.ID(phone)+".1"); err != nil {
			return err.Error()
		}
		return ""
	})
}

func (w *world) ends(gone <-chan struct{}) {
	w.T.Helper()
	select {
	case <-gone:
	case <-time.After(storm.Soon):
		w.T.Fatal("it does not end")
	}
}
