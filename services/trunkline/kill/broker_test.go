// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// A lease that cannot be renewed is a bot that must not live: only so can its slot be given away.
func TestNoBotOutlivesItsLeaseWhenTheBrokerIsAway(t *testing.T) {
	const slots, lease, margin = 4, 4 * time.Second, 2 * time.Second
	w := watched(t, options{slots: slots, agent: "lease: 4s, kill_grace: 1s"})
	old := w.PlaceMany(slots, sim.CallSpec{})
	for _, phone := range old {
		w.Connected(phone)
		w.Expect(phone, "CallConnected")
	}
	waiting := w.PlaceMany(3, sim.CallSpec{})
	for _, phone := range waiting {
		w.Expect(phone, "RoomReady.1")
	}
	most := w.countBots()

	away := time.Now()
	w.part("nats").kill(syscall.SIGKILL)
	last := away
	w.During(lease+2*margin, "without the broker", func() string {
		if live := w.Sim.Stats().Bots.List; len(botsLiving())+len(live) > 0 {
			last = time.Now()
			if last.Sub(away) > lease+margin {
				return fmt.Sprintf("%s after its end %v and %v are there", last.Sub(away), botsLiving(), live)
			}
		}
		return ""
	})
	t.Logf("the last bot was gone %.2f s after the broker", last.Sub(away).Seconds())

	w.part("nats").start()
	for _, phone := range old { // who has held on gets another bot
		w.Expect(phone, "BotReady.2")
		if now, _ := w.Sim.Call(phone.ID); now.State != sim.Connected || now.Legs != 1 {
			t.Errorf("an old caller: %s %s, %d legs\n%s", now.State, now.Why, now.Legs, w.Told(phone))
		}
	}
	w.HangUp(old...)
	for _, phone := range append(waiting, w.Place(sim.CallSpec{})) {
		w.HangUp(w.Connected(phone))
	}
	w.cleared()
	if n := most(); n > slots {
		t.Errorf("%d bots lived at once, with %d slots", n, slots)
	}
	if n := w.Sim.Stats().Bots.MaxLive; n > slots {
		t.Errorf("%d bots were in rooms at once, with %d slots", n, slots)
	}
}

// countBots counts the bots from now on; what it gives ends the count, and tells the most that lived at once.
func (w *world) countBots() (most func() int) {
	var group sync.WaitGroup
	n, done := 0, make(chan struct{})
	group.Go(func() {
		for {
			n = max(n, len(botsLiving()))
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	stop := sync.OnceFunc(func() { close(done); group.Wait() })
	w.T.Cleanup(stop)
	return func() int { stop(); return n }
}
