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

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
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
	w := newWorld(t, options{slots: slots, sim: badDay(secondForward, seed)})

	phones, kills := w.storm(random, *callers, *rounds, *lasts, hold, talk)
	for _, wrong := range w.check(phones) {
		t.Error(wrong)
	}
	w.report(phones, kills)
}

// badDay is a Daily that sends again what got no 200, doubles, delays and reorders a tenth of all webhooks, and loses
// some of those that it can lose.
func badDay(secondForward string, seed int64) func(*sim.Config) {
	return func(c *sim.Config) {
		c.SecondForward, c.Seed = secondForward, seed
		c.DialinWebhookRetries, c.DialinWebhookBackoff = 20, sim.Duration(500*time.Millisecond)
		bad := sim.WebhookFaults{Duplicate: .1, Delay: .1, DelayMax: sim.Duration(time.Second), Reorder: .1}
		c.Faults.DialinWebhook = bad
		bad.Lose = .02
		c.Faults.Events = bad
	}
}

// storm has people call while every part is killed, round by round, and waits until all calls have ended.
func (w *world) storm(random *rand.Rand, callers, rounds int, lasts, hold, talk time.Duration) ([]sim.Call, []shot) {
	phones := make([]sim.Call, callers)
	var group sync.WaitGroup
	group.Go(func() {
		for i := range phones {
			var err error
			phones[i], err = w.sim.PlaceCall(sim.CallSpec{From: fmt.Sprintf("+1415555%04d", i%10000), To: "+14155550100", Hold: sim.Duration(hold), Talk: sim.Duration(talk)})
			if err != nil {
				w.t.Error(err)
			}
			time.Sleep(lasts / time.Duration(callers))
		}
	})
	kills := w.fire(w.t.Context(), random, rounds, lasts)
	group.Wait()
	ctx, cancel := context.WithTimeout(w.t.Context(), hold+talk+30*time.Second)
	defer cancel()
	for i, phone := range phones {
		phones[i], _ = w.sim.WaitForCall(ctx, phone.ID, func(c sim.Call) bool { return c.State == sim.Ended }) // check tells
	}
	return phones, kills
}

// shot is a part that was killed, and when.
type shot struct {
	name string
	at   time.Time
	down time.Duration
}

// fire kills every part, round by round in random order, and starts each again within two seconds.
func (w *world) fire(ctx context.Context, random *rand.Rand, rounds int, lasts time.Duration) []shot {
	var kills []shot
	var group sync.WaitGroup
	pause := lasts / time.Duration(rounds*len(w.parts))
	for range rounds {
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

// check holds the promise against what the simulator and the record say, and gives what is wrong.
func (w *world) check(phones []sim.Call) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	forwarded, patience := 0, time.Now().Add(w.patience) // for all of them together
	for _, phone := range phones {
		told := w.id(phone)
		if slices.ContainsFunc(phone.Webhooks, func(d sim.Delivery) bool { return d.Status == 200 }) && !w.ended(phone, time.Until(patience)) {
			say("call %s has not ended\n%s", told, w.told(phone))
		}
		if phone.ForwardedAt != nil {
			forwarded++
		} else if phone.Held.Std() >= 60*time.Second {
			say("call %s held for %s and was not forwarded\n%s", told, phone.Held, w.told(phone))
		}
		if phone.Legs > 1 || len(phone.Rooms) > 1 {
			say("call %s had %d legs in %v\n%s", told, phone.Legs, phone.Rooms, w.told(phone))
		}
		if phone.ConnectedAt != nil && phone.Why != "hung-up" {
			say("call %s was cut off: %s\n%s", told, phone.Why, w.told(phone))
		}
		wrong = append(wrong, w.bots(phone)...)
	}
	if forwarded*100 < 95*len(phones) {
		say("%d of %d callers were forwarded", forwarded, len(phones))
	}
	if left := w.await(w.patience, w.left); left != "" {
		say("not cleared up: %s", left)
	}
	if live := w.sim.Stats().Bots.MaxLive; live > w.slots {
		say("%d bots were in rooms at once, with %d slots", live, w.slots)
	}
	letters, err := bus.ListDeadLetters(w.t.Context(), w.js)
	if err != nil || len(letters) > 0 {
		say("dead letters: %v, %v", letters, err)
	}
	return append(wrong, w.twice()...)
}

// bots gives what is wrong with a call's bots: one in a call is never replaced, and no attempt has two.
func (w *world) bots(phone sim.Call) (wrong []string) {
	story, err := w.bus.Story(w.t.Context(), w.id(phone))
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
			wrong = append(wrong, fmt.Sprintf("call %s had %d bots for one attempt\n%s", w.id(phone), n, w.told(phone)))
		}
	}
	if phone.ConnectedAt != nil && call.Read(story).Current().Place == callv1.Place_PLACE_SAME_ROOM {
		wrong = append(wrong, fmt.Sprintf("call %s lost its bot\n%s", w.id(phone), w.told(phone)))
	}
	return wrong
}

// twice gives the subjects that hold more than one event.
func (w *world) twice() (wrong []string) {
	stream, err := w.js.Stream(w.t.Context(), bus.Stream)
	if err != nil {
		return []string{err.Error()}
	}
	info, err := stream.Info(w.t.Context(), jetstream.WithSubjectFilter("calls.>"))
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

// ended waits until the call has ended on the record.
func (w *world) ended(phone sim.Call, patience time.Duration) bool {
	return w.await(patience, func() string {
		story, err := w.bus.Story(w.t.Context(), w.id(phone))
		if err != nil {
			return err.Error()
		}
		if !story.Ended() {
			return "not ended"
		}
		return ""
	}) == ""
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
	if n := processes(); n > 0 {
		left = append(left, fmt.Sprintf("%d processes of bots", n))
	}
	return strings.Join(left, ", ")
}

// processes counts the simulated bots that this test's binaries run.
func processes() int {
	n := 0
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		cmdline, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && built != "" && string(cmdline) != "" && strings.HasPrefix(string(cmdline), built) && strings.Contains(string(cmdline), "\x00sim\x00bot") {
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
