// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// The keepers hold the slots and the bots hold the calls: nobody notices that bot-scheduler is away.
func TestCallsGoOnWhenBotSchedulerIsKilled(t *testing.T) {
	const calls, lease = 10, 5 * time.Second
	w := watched(t, options{slots: calls, agent: "lease: 5s, kill_grace: 1s"})
	phones := w.PlaceMany(calls, sim.CallSpec{})
	for _, phone := range phones {
		w.Connected(phone)
		w.Expect(phone, "CallConnected")
	}
	before := w.inProgress()
	if n := len(botsLiving()); n != calls || w.Count(&callv1.BotStarting{}) != calls || len(w.Leases()) != calls {
		t.Fatalf("at the start there are\n%s", before)
	}
	asBefore := func() string {
		if now := w.inProgress(); now != before {
			return fmt.Sprintf("before\n%s\nnow\n%s", before, now)
		}
		return ""
	}

	w.part("bot-scheduler").kill(syscall.SIGKILL)
	w.During(lease+2*time.Second, "without bot-scheduler", asBefore)
	w.part("bot-scheduler").start()
	w.awaitReady()
	w.During(4*time.Second, "with bot-scheduler back", asBefore)

	w.HangUp(phones...)
	w.cleared()
	for _, phone := range phones {
		if now := w.HungUp(phone); now.Legs != 1 || len(w.State(phone).Attempts) != 1 {
			t.Errorf("%d legs\n%s", now.Legs, w.Told(phone))
		}
	}
	w.HangUp(w.Connected(w.Place(sim.CallSpec{})))
	w.cleared()
}

// inProgress tells which bots run, for which calls and on which leases, and how many were ever started.
func (w *world) inProgress() string {
	var lines []string
	for _, p := range living(w.dir) {
		lines = append(lines, p.String())
	}
	slices.Sort(lines)
	lines = append(lines, w.Leases()...)
	stats := w.Sim.Stats()
	return fmt.Sprintf("%s\n%d bots in rooms, %d legs, %d bots started", strings.Join(lines, "\n"), stats.Bots.Live, stats.Legs, w.Count(&callv1.BotStarting{}))
}

// The line is on the record, and a scheduler that comes back goes on with it where it was.
func TestWhoCameFirstIsServedFirstThoughBotSchedulerIsKilled(t *testing.T) {
	const callers, before = 20, 6
	w := watched(t, options{slots: 1, agent: "lease: 5s, kill_grace: 1s"})
	phones := make([]sim.Call, callers)
	for i := range phones {
		phones[i] = w.Place(sim.CallSpec{Talk: sim.Duration(100 * time.Millisecond)})
		w.Expect(phones[i], "RoomReady.1")
	}
	w.Connected(phones[before-1])
	w.part("bot-scheduler").kill(syscall.SIGKILL)
	w.part("bot-scheduler").start()
	for i, phone := range phones {
		if phones[i] = w.HungUp(phone); phones[i].Why != "hung-up" || phones[i].Legs != 1 {
			t.Fatalf("caller %d: %s, %d legs\n%s", i, phones[i].Why, phones[i].Legs, w.Told(phone))
		}
	}
	served := make([]int, callers)
	for i := range served {
		served[i] = i
	}
	slices.SortFunc(served, func(a, b int) int { return phones[a].ForwardedAt.Compare(*phones[b].ForwardedAt) })
	if !slices.IsSorted(served) {
		t.Errorf("they were served in the order %v", served)
	}
	w.cleared()
	if most := w.Sim.Stats().Bots.MaxLive; most > 1 {
		t.Errorf("%d bots were in rooms at once", most)
	}
}

// A stock bot asks once for its caller, and whatever the answer is, it stays.
func TestACallerWhoseBotFoundNobodyToAskIsForwardedOnBotSchedulersReturn(t *testing.T) {
	const within = 3 * time.Second
	w := watched(t, options{slots: 2, sim: func(c *sim.Config) { c.SIPReadyDelay = sim.Duration(1500 * time.Millisecond) }})
	phone := w.Place(sim.CallSpec{})
	w.Expect(phone, "BotStarted.1")
	w.part("bot-scheduler").kill(syscall.SIGKILL)
	why := w.awaitLogged("bot-scheduler", "sim-bot: ask for the caller: ")
	if !strings.Contains(why, "connection refused") {
		t.Fatalf("the bot asked, and was answered: %s", why)
	}
	w.Expect(phone, "DialinReady.1")

	back := time.Now()
	w.part("bot-scheduler").start()
	phone = w.Connected(phone)
	took := phone.ForwardedAt.Sub(back)
	t.Logf("forwarded %.2f s after the return", took.Seconds())
	if took > within {
		t.Errorf("that is later than %s\n%s", within, w.Told(phone))
	}
	w.Expect(phone, "CallConnected")
	if s := w.State(phone); len(s.Attempts) != 1 || s.Attempt(1).Ready.GetSign() != callv1.Sign_SIGN_DIALIN_READY {
		t.Errorf("not by DialinReady of the first attempt\n%s", w.Told(phone))
	}
	w.HangUp(phone)
	w.cleared()
}

// A line that cannot move is not looked at over and over.
func TestAWaitingLineKeepsNobodyBusy(t *testing.T) {
	const while = 2 * time.Second
	w := watched(t, options{slots: 1})
	first := w.Connected(w.Place(sim.CallSpec{}))
	waiting := w.PlaceMany(3, sim.CallSpec{Talk: 1})
	for _, phone := range waiting {
		w.Expect(phone, "RoomReady.1")
	}
	before := w.part("bot-scheduler").cpu()
	w.During(while, "nobody is served", func() string {
		if n := w.Count(&callv1.BotStarting{}); n > 1 {
			return fmt.Sprintf("%d bots were started", n)
		}
		return ""
	})
	if took := w.part("bot-scheduler").cpu() - before; took > while/4 {
		t.Errorf("bot-scheduler computed for %s within %s", took, while)
	}
	w.HangUp(first)
	for _, phone := range waiting {
		w.Connected(phone)
	}
	w.cleared()
}
