// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// fault is what happens to a container.
type fault struct {
	name       string
	begin, end func(*box)
}

var (
	killed    = fault{"killed", (*box).kill, (*box).start}
	frozen    = fault{"frozen", (*box).pause, (*box).unpause}
	cutOff    = fault{"cut off", (*box).cut, (*box).mend}
	restarted = fault{"restarted", (*box).stop, (*box).start}
)

const (
	lease = 9 * time.Second // of bots, where nothing has to be elected
	short = 2 * time.Second // much less than the lease
)

func TestNobodyIsLetDownWhateverHappensToAPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{nodes: 1, each: 1, slots: slots(), lease: lease, sim: storm.BadDay("404", 1)})
	for _, f := range []fault{killed, frozen, cutOff, restarted} {
		w.under(f.name, func(t *testing.T) {
			var late []sim.Call
			var began, died time.Time // the kill that took all bots with it
			phones := w.crowd(func() {
				for _, b := range w.boxes {
					w.awaitCalls()
					now := time.Now()
					f.begin(b)
					if b.service == "bot-scheduler" && f.name == killed.name {
						began, died = now, time.Now()
					}
					if f.name != restarted.name {
						time.Sleep(short)
					}
					f.end(b)
					late = append(late, w.served(b, f))
				}
			})
			w.checked(append(phones, late...), func(c sim.Call) bool {
				return c.StartedAt.Before(died) && c.EndedAt.After(began)
			})
		})
	}
}

// served waits until a part is back after a fault, and who calls then is connected.
func (w *world) served(b *box, f fault) sim.Call {
	w.T.Helper()
	back := time.Now()
	w.Poll(time.Minute, b.name+" to be back", b.unready)
	ready := time.Since(back)
	phone := w.Place(sim.CallSpec{Hold: sim.Duration(hold), Talk: sim.Duration(talk)})
	phone = w.Phone(phone, time.Minute, "connected after "+b.name+" was "+f.name, func(c sim.Call) bool { return c.ConnectedAt != nil })
	w.T.Logf("%-18s %-9s ready after %5.2f s, who called then held for %5.2f s", b, f.name, ready.Seconds(), phone.Held.Std().Seconds())
	return phone
}

// awaitCalls waits until some hold and some talk.
func (w *world) awaitCalls() {
	w.T.Helper()
	w.Poll(time.Minute, "people to hold and to talk", func() string {
		if now := w.Sim.Stats().Calls; now[sim.Holding] < 2 || now[sim.Connected] < 2 {
			return "not yet"
		}
		return ""
	})
}

// crowd has more people call than there are slots, while something happens.
func (w *world) crowd(meanwhile func()) []sim.Call {
	return w.Crowd(w.Slots*3/2, *callers, hold, talk, meanwhile)
}

// checked holds the promise against what became of callers; those whose bot had to go may have lost it.
func (w *world) checked(phones []sim.Call, lostBot func(sim.Call) bool) {
	w.T.Helper()
	for i, phone := range phones {
		phones[i] = w.Phone(phone, storm.Soon, "over", func(c sim.Call) bool { return c.State == sim.Ended })
	}
	for _, wrong := range w.CheckBut(phones, lostBot) {
		w.T.Error(wrong)
	}
	for _, b := range w.boxes {
		if why := b.down(); why != "" {
			w.T.Error(why)
		}
	}
	longest := time.Duration(0)
	for _, phone := range phones {
		longest = max(longest, phone.Held.Std())
	}
	w.T.Logf("%d people called; the longest hold was %.2f s", len(phones), longest.Seconds())
}
