// SPDX-License-Identifier: Apache-2.0

// Package kill proves the promise of the dial-in path under fire: every part is killed, again and again, while people
// call, and no caller is let down.
package kill

import (
	"context"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

var (
	callers = flag.Int("callers", 60, "how many people call")
	lasts   = flag.Duration("lasts", 15*time.Second, "over what time they call, and parts are killed")
	rounds  = flag.Int("rounds", 3, "how often each part is killed")
	seed    = flag.Int64("seed", 0, "of the order of the kills; 0 is a fixed one and a random one")
)

const (
	slots = 40
	hold  = 120 * time.Second
	talk  = 5 * time.Second
)

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(status)
}

func TestNobodyIsLetDownWhateverIsKilled(t *testing.T) {
	seeds := []int64{1, time.Now().UnixNano()}
	if *seed != 0 {
		seeds = []int64{*seed, *seed}
	}
	for i, second := range []string{"404", "second-leg"} {
		t.Run("second forward "+second, func(t *testing.T) { underFire(t, second, seeds[i]) })
	}
}

func underFire(t *testing.T, secondForward string, seed int64) {
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	w := newWorld(t, options{slots: slots, sim: func(c *sim.Config) {
		c.SecondForward, c.Seed = secondForward, seed
		c.DialinWebhookRetries, c.DialinWebhookBackoff = 20, sim.Duration(500*time.Millisecond)
		bad := sim.WebhookFaults{Duplicate: .1, Delay: .1, DelayMax: sim.Duration(time.Second), Reorder: .1}
		c.Faults.DialinWebhook = bad
		bad.Lose = .02
		c.Faults.Events = bad
	}})

	var group sync.WaitGroup
	phones := make([]sim.Call, *callers)
	group.Go(func() {
		for i := range phones {
			var err error
			phones[i], err = w.sim.PlaceCall(sim.CallSpec{From: fmt.Sprintf("+1415555%04d", i), To: "+14155550100", Hold: sim.Duration(hold), Talk: sim.Duration(talk)})
			if err != nil {
				t.Error(err)
			}
			time.Sleep(*lasts / time.Duration(*callers))
		}
	})
	kills := w.fire(t.Context(), random)
	group.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), hold+talk+30*time.Second)
	defer cancel()
	for i, phone := range phones {
		now, err := w.sim.WaitForCall(ctx, phone.ID, func(c sim.Call) bool { return c.State == sim.Ended })
		if err != nil {
			t.Errorf("call %s did not end: %v", w.id(phone), err)
		}
		phones[i] = now
	}
	w.check(phones)
	w.report(phones, kills)
	if t.Failed() {
		t.Logf("the logs are in %s", w.logs())
	}
}

// shot is a part that was killed, and when.
type shot struct {
	name string
	at   time.Time
	down time.Duration
}

// fire kills every part, round by round in random order, and starts each again within two seconds.
func (w *world) fire(ctx context.Context, random *rand.Rand) []shot {
	var kills []shot
	var group sync.WaitGroup
	pause := *lasts / time.Duration(*rounds*len(w.parts))
	for range *rounds {
		for _, i := range random.Perm(len(w.parts)) {
			p, down := w.parts[i], time.Duration(random.Int63n(int64(2*time.Second)))
			if !p.alive() {
				w.t.Errorf("%s has ended by itself", p.name)
			}
			kills = append(kills, shot{p.name, time.Now(), down})
			p.kill(syscall.SIGKILL)
			group.Go(func() {
				time.Sleep(down)
				p.start()
			})
			select {
			case <-ctx.Done():
				return kills
			case <-time.After(max(pause, down)):
			}
		}
		group.Wait()
	}
	return kills
}

func (w *world) id(phone sim.Call) string { return bus.CallID(phone.CallDomain, phone.ID) }

// check holds the promise against what the simulator and the record say.
func (w *world) check(phones []sim.Call) {
	t := w.t
	forwarded := 0
	for _, phone := range phones {
		taken := slices.ContainsFunc(phone.Webhooks, func(d sim.Delivery) bool { return d.Status == 200 })
		s := w.ended(phone, taken)
		if phone.ForwardedAt != nil {
			forwarded++
		} else if phone.Held.Std() >= 60*time.Second {
			t.Errorf("call %s held for %s and was not forwarded\n%s", w.id(phone), phone.Held, w.told(phone))
		}
		if phone.Legs > 1 || len(phone.Rooms) > 1 {
			t.Errorf("call %s had %d legs in %v\n%s", w.id(phone), phone.Legs, phone.Rooms, w.told(phone))
		}
		if phone.ConnectedAt != nil && phone.Why != "hung-up" {
			t.Errorf("call %s was cut off: %s\n%s", w.id(phone), phone.Why, w.told(phone))
		}
		if s != nil && phone.ConnectedAt != nil && len(s.Attempts) > 0 && s.Current().Place.String() == "PLACE_SAME_ROOM" {
			t.Errorf("call %s lost its bot\n%s", w.id(phone), w.told(phone))
		}
	}
	if forwarded*100 < 95*len(phones) {
		t.Errorf("%d of %d callers were forwarded", forwarded, len(phones))
	}
	w.poll(60*time.Second, "everything to be cleared up", w.left)
	if live := w.sim.Stats().Bots.MaxLive; live > slots {
		t.Errorf("%d bots were in rooms at once, with %d slots", live, slots)
	}
	letters, err := bus.ListDeadLetters(t.Context(), w.js)
	if err != nil || len(letters) > 0 {
		t.Errorf("dead letters: %v, %v", letters, err)
	}
}

// ended waits until the call has ended on the record, if its webhook was taken.
func (w *world) ended(phone sim.Call, taken bool) *call.State {
	if !taken {
		return nil
	}
	var s *call.State
	w.poll(60*time.Second, "the end of call "+w.id(phone), func() string {
		story, err := w.bus.Story(w.t.Context(), w.id(phone))
		if err != nil {
			return err.Error()
		}
		if s = call.Read(story); s.Ended == nil {
			return w.told(phone)
		}
		return ""
	})
	return s
}

// left is what is still there although all calls are over; empty is nothing.
func (w *world) left() string {
	var left []string
	stats := w.sim.Stats()
	if stats.Bots.Live+stats.Legs+stats.RoomsInUse > 0 {
		left = append(left, fmt.Sprintf("%d bots, %d legs, %d rooms in use", stats.Bots.Live, stats.Legs, stats.RoomsInUse))
	}
	for _, bucket := range []string{"slots", "jobs"} {
		kv, err := w.js.KeyValue(w.t.Context(), bucket)
		if err != nil {
			return err.Error()
		}
		keys, err := kv.ListKeys(w.t.Context())
		if err != nil {
			return err.Error()
		}
		for key := range keys.Keys() {
			left = append(left, bucket+" "+key)
		}
	}
	if n := bots(w.urls["sim"]); n > 0 {
		left = append(left, fmt.Sprintf("%d processes of bots", n))
	}
	return strings.Join(left, ", ")
}

// bots counts the processes of simulated bots and their keepers that this test's binaries run.
func bots(_ string) int {
	n := 0
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		cmdline, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && built != "" && string(cmdline) != "" && strings.HasPrefix(string(cmdline), built+"/trunkline\x00sim\x00bot") {
			n++
		}
	}
	return n
}

// told is a call's story, for a failed test.
func (w *world) told(phone sim.Call) string {
	story, err := w.bus.Story(w.t.Context(), w.id(phone))
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, e := range story.Events {
		text += fmt.Sprintf("%8.3f %s %v\n", e.Time.Sub(story.Began()).Seconds(), e.Key(), e.Data)
	}
	return text
}

// report prints how long people held, and what each kill cost those who called around it.
func (w *world) report(phones []sim.Call, kills []shot) {
	var holds []time.Duration
	cost := map[string]time.Duration{}
	count := map[string]int{}
	for _, phone := range phones {
		if phone.ForwardedAt == nil {
			continue
		}
		holds = append(holds, phone.Held.Std())
	}
	slices.Sort(holds)
	for _, k := range kills {
		count[k.name]++
		for _, phone := range phones {
			if phone.ForwardedAt != nil && phone.StartedAt.Before(k.at.Add(k.down)) && phone.ForwardedAt.After(k.at) {
				cost[k.name] = max(cost[k.name], phone.Held.Std())
			}
		}
	}
	if len(holds) > 0 {
		w.t.Logf("%d callers held for %.2f s in the median, %.2f s at the longest", len(holds), holds[len(holds)/2].Seconds(), holds[len(holds)-1].Seconds())
	}
	for _, p := range w.parts {
		w.t.Logf("%-16s killed %2d times; the longest hold of a caller who was waiting then: %.2f s", p.name, count[p.name], cost[p.name].Seconds())
	}
}
