// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

// Where a part is away for longer than a lease, the bots that it keeps alive have to go, and their slots come free. Who
// talked holds on and gets another bot; who waited is served.
func TestWhoHoldsOnIsServedThoughAPartWasAwayForLongerThanALease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{nodes: 1, each: 1, slots: 4, lease: lease, sim: func(c *sim.Config) {
		c.DialinWebhookRetries, c.DialinWebhookBackoff = 100, sim.Duration(500*time.Millisecond)
	}})
	for _, c := range []struct {
		part  string
		fault fault
		bots  int // which bot of a call is in it at the end
	}{
		{"bot-scheduler-1", killed, 2},
		{"bot-scheduler-1", frozen, 2},
		{"bot-scheduler-1", cutOff, 2},
		{"nats-1", killed, 2},
		{"nats-1", frozen, 2},
		{"nats-1", cutOff, 2},
		{"ingress-1", killed, 1},
		{"room-provisioner-1", frozen, 1},
		{"call-control-1", cutOff, 1},
		{"transfer-service-1", killed, 1},
	} {
		w.under(c.part+" "+c.fault.name, func(*testing.T) { w.away(w.box(c.part), c.fault, c.bots) })
	}
}

func (w *world) away(b *box, f fault, bots int) {
	w.T.Helper()
	old := w.PlaceMany(w.Slots, sim.CallSpec{})
	for i, phone := range old {
		old[i] = w.Connected(phone)
		w.Expect(phone, "CallConnected")
	}
	patient := sim.CallSpec{Hold: sim.Duration(hold), Talk: sim.Duration(time.Second)}
	waiting := w.PlaceMany(2, patient)
	for _, phone := range waiting {
		w.Expect(phone, "RoomReady.1")
	}

	f.begin(b)
	time.Sleep(lease / 2)
	waiting = append(waiting, w.PlaceMany(2, patient)...)
	time.Sleep(lease/2 + 2*time.Second)
	switch {
	case b == w.of("bot-scheduler")[0]:
		w.Poll(storm.Soon, "the slots to come free", func() string {
			if held := w.Leases(); len(held) > 0 {
				return fmt.Sprint(held)
			}
			return ""
		})
	case b == w.of("nats")[0]:
		if live := w.Sim.Stats().Bots.List; len(live) > 0 {
			w.T.Errorf("bots that cannot renew their leases are there: %v", live)
		}
	}
	f.end(b)
	back := time.Now()
	w.Poll(time.Minute, b.name+" to be back", b.unready)

	for _, phone := range old {
		w.Expect(phone, fmt.Sprintf("BotReady.%d", bots))
		now, _ := w.Sim.Call(phone.ID)
		if now.State != sim.Connected || now.Legs != 1 || !slices.Equal(now.Rooms, []string{call.RoomName(w.ID(phone), 1)}) {
			w.T.Errorf("who talked: %s %s, %d legs in %v\n%s", now.State, now.Why, now.Legs, now.Rooms, w.Told(phone))
		}
	}
	w.T.Logf("who talked has a bot %.2f s after the return", time.Since(back).Seconds())
	w.HangUp(old...)
	for _, phone := range waiting {
		w.HungUp(w.Connected(phone))
	}
	w.T.Logf("who waited is served %.2f s after the return", time.Since(back).Seconds())
	w.checked(append(old, waiting...), func(sim.Call) bool { return bots > 1 })
}

// box gives a container by its name.
func (w *world) box(name string) *box {
	for _, b := range w.boxes {
		if b.name == name {
			return b
		}
	}
	w.T.Fatalf("there is no %s", name)
	return nil
}
