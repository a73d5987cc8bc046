// SPDX-License-Identifier: Apache-2.0

// Package kill proves the promise under fire: every part is killed, again and again, while people call and are called,
// and nobody is let down.
package kill

import (
	"context"
	"flag"
	"math/rand"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/storm"
)

var (
	callers = flag.Int("callers", 60, "how many people call, or are called: half of them")
	lasts   = flag.Duration("lasts", 15*time.Second, "over what time they come, and parts are killed")
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
	w := newWorld(t, options{
		slots: slots, sim: storm.BadDay(secondForward, seed), policy: ", per_second: 100, max_concurrent: 20", dialout: "answer_budget: 150s",
	})
	w.MayCall(w.urls["control"])

	phones, kills := w.storm(random, *callers, *rounds, *lasts, hold, talk)
	for _, wrong := range w.Check(phones) {
		t.Error(wrong)
	}
	w.report(phones, kills)
}

// storm has people call while every part is killed, round by round, and waits until all calls have ended.
func (w *world) storm(random *rand.Rand, callers, rounds int, lasts, hold, talk time.Duration) (phones []sim.Call, kills []shot) {
	phones = w.Callers(callers, lasts, hold, talk, func() { kills = w.fire(w.T.Context(), random, rounds, lasts) })
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
				w.T.Errorf("%s has ended by itself", p.name)
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

// ofWorld is set for the bots of a world, to its folder.
const ofWorld = "WORLD_OF_THE_KILL_TEST"

// processes counts the simulated bots of a world that live.
func processes(dir string) int {
	n := 0
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		cmdline, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil || !strings.Contains(string(cmdline), "\x00sim\x00bot") {
			continue
		}
		environ, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && slices.Contains(strings.Split(string(environ), "\x00"), ofWorld+"="+dir) {
			n++
		}
	}
	return n
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
		w.T.Logf("%d callers held for %.2f s in the median, %.2f s at the longest", len(holds), holds[len(holds)/2].Seconds(), holds[len(holds)-1].Seconds())
	}
	w.reportCalled()
	for _, p := range w.parts {
		w.T.Logf("%-16s killed %2d times; the longest hold of a caller who was waiting then: %.2f s", p.name, count[p.name], cost[p.name].Seconds())
	}
}

// reportCalled prints what became of those who were called.
func (w *world) reportCalled() {
	ends := map[string]int{}
	for _, d := range w.Called() {
		story, err := w.Bus.Story(w.T.Context(), d.ID)
		if err != nil {
			w.T.Error(err)
			return
		}
		if end := call.Read(story).Ended; end != nil {
			ends[end.Data.GetReason()]++
		}
	}
	w.T.Logf("%d people were called: %v", len(w.Called()), ends)
}
