// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/services/call-control/admission"
)

func TestTheCapHoldsWhenAllAskAtOnce(t *testing.T) {
	const calls, places = 500, 20
	w := newWorld(t, admission.Limits{Concurrent: places}, 0)
	var mu sync.Mutex
	var begun []string
	var line []waiter
	looks := map[time.Time]bool{}
	took := together(calls, func(i int) {
		answer, err := w.one(i).Ask(w.Context(), name(i), "support", admission.NoTurn)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			t.Error(err)
		case answer.Admitted:
			begun = append(begun, name(i))
		default:
			line = append(line, waiter{name(i), "support", answer.Again})
			looks[answer.Again] = true
			if answer.Rule != "concurrency" || answer.Detail != "20 of 20" {
				t.Errorf("told to wait for %s: %s", answer.Rule, answer.Detail)
			}
		}
	})
	t.Logf("%d calls asked at once in %s", calls, took.Round(time.Millisecond))
	if len(begun) != places {
		t.Fatalf("%d of %d began", len(begun), places)
	}
	if len(looks) != calls-places {
		t.Errorf("%d calls share %d looks", calls-places, len(looks))
	}

	// Each call takes a second.
	type talk struct {
		call string
		end  time.Time
	}
	var talks []talk
	for _, call := range begun {
		talks = append(talks, talk{call, epoch.Add(time.Second)})
	}
	for i := 0; len(line) > 0; i++ {
		v := w.next(&line)
		for len(talks) > 0 && !talks[0].end.After(w.time()) {
			w.release(i, talks[0].call)
			talks = talks[1:]
		}
		if answer := w.ask(i+1, v.call, v.agent, true); answer.Admitted {
			talks = append(talks, talk{v.call, w.time().Add(time.Second)})
		} else {
			v.again = answer.Again
			line = append(line, v)
		}
		if len(talks) > places {
			t.Fatalf("%d calls at a time", len(talks))
		}
		if took := w.time().Sub(epoch); took > time.Minute {
			t.Fatalf("after %s %d calls still wait", took, len(line))
		}
	}
	t.Logf("all of them began within %s", w.time().Sub(epoch))
}

func TestTheCapHoldsWhileCallsComeAndGo(t *testing.T) {
	const calls, places, ownPlaces = 500, 50, 20
	w := newWorld(t, admission.Limits{
		Concurrent: places, Agents: map[string]admission.AgentLimits{"sales": {Concurrent: ownPlaces}},
	}, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a place that gets lost would have them ask for ever
	defer cancel()
	var all, own, allMost, ownMost atomic.Int32
	took := together(calls, func(i int) {
		agent := []string{"support", "sales"}[i%2]
		for {
			// Nobody waits for his look here: instances shall meet.
			answer, err := w.one(i).Ask(ctx, name(i), agent, admission.AllTurn)
			if err != nil {
				t.Error(err)
				return
			}
			if answer.Admitted {
				break
			}
		}
		begin := func(n, most *atomic.Int32) {
			for now, old := n.Add(1), most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
		}
		begin(&all, &allMost)
		if agent == "sales" {
			begin(&own, &ownMost)
		}
		for range 3 { // a call takes a while
			if answer, err := w.one(i).Ask(ctx, name(i), agent, admission.AllTurn); !answer.Admitted || err != nil {
				t.Errorf("has begun, and is told %+v, %v", answer, err)
			}
		}
		all.Add(-1)
		if agent == "sales" {
			own.Add(-1)
		}
		if err := w.one(i+1).Release(ctx, name(i)); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%d calls came and went in %s, at most %d at a time, %d of the agent", calls, took.Round(time.Millisecond), allMost.Load(), ownMost.Load())
	if allMost.Load() > places || ownMost.Load() > ownPlaces {
		t.Error("more than may be")
	}
	if allMost.Load() < places/2 || ownMost.Load() < ownPlaces/2 {
		t.Error("the caps were not reached for")
	}
	if all, _ := w.holders(""); all != 0 {
		t.Errorf("%d places were not given back", all)
	}
}

func TestAgentsHaveCapsOfTheirOwnWithinTheCapOnAll(t *testing.T) {
	const places, ownPlaces = 30, 20
	w := newWorld(t, admission.Limits{
		Concurrent: places, Agents: map[string]admission.AgentLimits{"sales": {Concurrent: ownPlaces}},
	}, 0)
	var rules sync.Map
	together(200, func(i int) {
		answer, err := w.one(i).Ask(w.Context(), name(i), "sales", admission.NoTurn)
		if err != nil {
			t.Error(err)
		}
		rules.Store(answer.Rule, true)
	})
	if all, own := w.holders("sales"); all != ownPlaces || own != ownPlaces {
		t.Fatalf("%d calls of the agent, %d in all", own, all)
	}
	if _, ok := rules.Load("agent_concurrency"); !ok {
		t.Error("nobody was told of the agent's cap")
	}
	// Those who wait for an agent are in nobody else's way.
	if answer := w.ask(0, "other", "support", false); !answer.Admitted {
		t.Errorf("another agent's call waits for %s", answer.Rule)
	}
	together(200, func(i int) {
		if _, err := w.one(i).Ask(w.Context(), name(1000+i), "support", admission.NoTurn); err != nil {
			t.Error(err)
		}
	})
	if all, own := w.holders("sales"); all != places || own != ownPlaces {
		t.Errorf("%d calls of the agent, %d in all", own, all)
	}
}

// drain has calls ask, all at once, and each again when it is told to or so much later. It gives the times and the order
// in which they began, and the number of looks.
func drain(w *world, agent string, calls int, late func() time.Duration) (times []time.Time, order []string, looks int) {
	var line []waiter
	for i := range calls {
		line = append(line, waiter{name(i), agent, epoch.Add(time.Duration(i))})
	}
	for ; len(line) > 0; looks++ {
		v := w.next(&line)
		answer := w.ask(looks, v.call, v.agent, looks >= calls)
		if !answer.Admitted {
			v.again = answer.Again.Add(late())
			line = append(line, v)
			continue
		}
		times, order = append(times, w.time()), append(order, v.call)
	}
	return times, order, looks
}

func TestARateIsNeverExceededAndIsUsed(t *testing.T) {
	punctual := func() time.Duration { return 0 }
	timers := func() time.Duration { return rand.N(300 * time.Millisecond) }
	for phrase, c := range map[string]struct {
		limits admission.Limits
		calls  int
		rate   float64
		skew   time.Duration
		late   func() time.Duration
	}{
		"in all":                {admission.Limits{PerSecond: 20}, 200, 20, 0, punctual},
		"by timers":             {admission.Limits{PerSecond: 20}, 200, 20, 0, timers},
		"by clocks that differ": {admission.Limits{PerSecond: 20}, 300, 20, 100 * time.Millisecond, punctual},
		"faster than looks are given to who waits for a place": {admission.Limits{PerSecond: 100, Concurrent: 1000}, 1000, 100, 0, timers},
		"one a second":           {admission.Limits{PerSecond: 1}, 30, 1, 0, timers},
		"one in two seconds":     {admission.Limits{PerSecond: .5}, 20, .5, 0, timers},
		"one in a minute":        {admission.Limits{PerSecond: 1. / 60}, 5, 1. / 60, 0, timers},
		"of an agent":            {admission.Limits{Agents: map[string]admission.AgentLimits{"sales": {PerSecond: 5}}}, 60, 5, 0, timers},
		"of an agent and in all": {admission.Limits{PerSecond: 20, Agents: map[string]admission.AgentLimits{"sales": {PerSecond: 5}}}, 60, 5, 0, timers},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := newWorld(t, c.limits, c.skew)
			times, _, looks := drain(w, "sales", c.calls, c.late)
			took := times[len(times)-1].Sub(times[0])
			t.Logf("%d calls at %g a second took %s and %d looks", c.calls, c.rate, took.Round(time.Millisecond), looks)
			if n, most := most(times, 5*time.Second), int(math.Ceil(5*c.rate)); n > most {
				t.Errorf("%d calls began within five seconds, %d may", n, most)
			}
			if ideal := float64(c.calls) / c.rate; took.Seconds() > 1.1*ideal+1 {
				t.Errorf("took %s, could take %gs", took, ideal)
			}
			if looks > 2*c.calls {
				t.Errorf("%d looks of %d calls", looks, c.calls)
			}
		})
	}
}

func TestWhereOnlyARateHasThemWaitCallsBeginInTheOrderInWhichTheyAsked(t *testing.T) {
	w := newWorld(t, admission.Limits{PerSecond: 20}, 0)
	_, order, _ := drain(w, "sales", 100, func() time.Duration { return 0 })
	if !slices.IsSorted(order) {
		t.Error(order)
	}
}

func TestNobodyNewIsTriedWhileALookIsToCome(t *testing.T) {
	w := newWorld(t, admission.Limits{Concurrent: 1}, 0)
	w.ask(0, "first", "support", false)
	var line []waiter
	for i := range 10 {
		answer := w.ask(i, name(i), "support", false)
		if n := len(line); answer.Admitted || n > 0 && !answer.Again.After(line[n-1].again) {
			t.Fatalf("call %d: %+v", i, answer)
		}
		line = append(line, waiter{name(i), "support", answer.Again})
	}
	w.release(1, "first")
	answer := w.ask(2, "new", "support", false)
	if answer.Admitted || !answer.Again.After(line[9].again) {
		t.Errorf("somebody new overtakes: %+v", answer)
	}
	if v := w.next(&line); !w.ask(0, v.call, v.agent, true).Admitted {
		t.Error("the place is free, and it is his turn")
	}
	// Who finds no place goes to the end, behind those who came after him.
	v := w.next(&line)
	if again := w.ask(0, v.call, v.agent, true).Again; !again.After(answer.Again) {
		t.Errorf("again at %s, the last one's is %s", again, answer.Again)
	}
}

func TestHoweverManyWaitLooksArePaced(t *testing.T) {
	const calls = 1000
	w := newWorld(t, admission.Limits{Concurrent: 1}, 0)
	w.ask(0, "first", "support", false)
	var line []waiter
	for i := range calls {
		line = append(line, waiter{name(i), "support", w.ask(0, name(i), "support", false).Again})
	}
	var looks []time.Time
	looked := map[string]int{}
	for i := range 2 * calls {
		v := w.next(&line)
		looks = append(looks, w.time())
		looked[v.call]++
		v.again = w.ask(i/100, v.call, v.agent, true).Again
		line = append(line, v)
	}
	if n := most(looks, time.Second); n > 20 {
		t.Errorf("%d looks in a second", n)
	}
	for call, n := range looked {
		if n != 2 {
			t.Errorf("call %s looked %d times, others twice", call, n)
		}
	}
}

func TestALineThatEverybodyHasLeftHoldsNobody(t *testing.T) {
	w := newWorld(t, admission.Limits{Concurrent: 1}, 0)
	w.ask(0, "first", "support", false)
	for i := range 200 {
		w.ask(i, name(i), "support", false)
	}
	w.release(0, "first") // and nobody asks again: the others are ended
	if w.ask(0, "new", "support", false).Admitted {
		t.Error("they may still come")
	}
	w.pass(4 * time.Second)
	if answer := w.ask(1, "newer", "support", false); !answer.Admitted {
		t.Errorf("waits for nobody: %+v", answer)
	}
}

func TestAskingAgainTakesNothingMore(t *testing.T) {
	w := newWorld(t, admission.Limits{Concurrent: 2, PerSecond: .1}, 0)
	for i := range 5 {
		if answer := w.ask(i, "first", "support", i%2 == 1); !answer.Admitted {
			t.Fatalf("asked for the %d. time: %+v", i+1, answer)
		}
	}
	if all, _ := w.holders(""); all != 1 {
		t.Errorf("%d places", all)
	}
	w.pass(11 * time.Second)
	if answer := w.ask(0, "second", "support", false); !answer.Admitted {
		t.Errorf("the second: %+v", answer)
	}
}

func TestAPlaceGivenBackElsewhereIsAskedForAnew(t *testing.T) {
	w := newWorld(t, admission.Limits{Concurrent: 1}, 0)
	w.ask(0, "first", "support", false)
	w.release(1, "first")
	w.release(2, "first")
	w.release(0, "nobody")
	if answer := w.ask(1, "second", "support", false); !answer.Admitted {
		t.Fatalf("%+v", answer)
	}
	// The instance that let it begin does not know that it has ended.
	if answer := w.ask(0, "first", "support", false); answer.Admitted {
		t.Error("begins again, beyond the cap")
	}
	w.release(0, "second") // and does not know of this one
	if all, _ := w.holders(""); all != 0 {
		t.Errorf("%d places were not given back", all)
	}
}

func TestWhatNothingLimitsIsNotCounted(t *testing.T) {
	w := newWorld(t, admission.Limits{Agents: map[string]admission.AgentLimits{"sales": {Concurrent: 1}}}, 0)
	for i := range 10 {
		if answer := w.ask(i, name(i), "support", false); !answer.Admitted {
			t.Errorf("%+v", answer)
		}
		if ok, _, err := w.one(i).Claim(w.Context(), "+14155550123", name(i), 1); !ok || err != nil {
			t.Error(ok, err)
		}
	}
	if all, _ := w.holders(""); all != 0 {
		t.Errorf("%d places", all)
	}
}

func TestAThousandHoldersStayCheap(t *testing.T) {
	const calls = 1000
	w := newWorld(t, admission.Limits{Concurrent: calls}, 0)
	id := func(i int) string { return "abcdefghijklmnopqr" + name(i)[1:] }
	for i := range calls {
		w.ask(0, id(i), "support", false)
	}
	var times []time.Duration
	for i := range 100 { // each after another instance's: it is read and written
		start := time.Now()
		w.release(i, id(i))
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	t.Logf("a change with %d holders: p50 %s, p99 %s", calls, times[50].Round(time.Microsecond), times[98].Round(time.Microsecond))
	if times[50] > 100*time.Millisecond {
		t.Error("too slow")
	}
}

func TestWithoutItsBucketThereIsNoAdmission(t *testing.T) {
	if a, err := admission.Open(t.Context(), bustest.Start(t).Setup(), admission.Limits{}, time.Now); a != nil || err == nil {
		t.Errorf("%v, %v", a, err)
	}
}

func TestTheContextsEndIsAnErrorAndTakesNothing(t *testing.T) {
	w := newWorld(t, admission.Limits{Concurrent: 1, PerNumber: 1, Window: time.Hour}, 0)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.one(0).Ask(ended, "first", "support", admission.NoTurn); err == nil {
		t.Error("let begin")
	}
	if _, _, err := w.one(0).Claim(ended, "+14155550123", "first", 1); err == nil {
		t.Error("claimed")
	}
	if answer := w.ask(0, "second", "support", false); !answer.Admitted {
		t.Errorf("%+v", answer)
	}
}

// Who has waited for his agent alone must not go before those who wait for what all share.
func TestAnAgentWithALongLineLeavesOthersTheirTurn(t *testing.T) {
	w := newWorld(t, admission.Limits{PerSecond: 1, Agents: map[string]admission.AgentLimits{"busy": {Concurrent: 5}}}, 0)
	type caller struct {
		waiter
		turn admission.Turn
	}
	var line []caller
	for i := range 330 {
		agent := "busy"
		if i >= 300 {
			agent = "other"
		}
		line = append(line, caller{waiter: waiter{call: name(i), agent: agent, again: w.time()}})
	}
	begun, ends := map[string]int{}, map[string]time.Time{}
	for until := w.time().Add(400 * time.Second); w.time().Before(until); {
		next := slices.MinFunc(line, func(a, b caller) int { return a.again.Compare(b.again) })
		line = slices.DeleteFunc(line, func(c caller) bool { return c.call == next.call })
		w.until(next.again)
		for call, end := range ends {
			if !end.After(w.time()) {
				w.release(0, call)
				delete(ends, call)
			}
		}
		answer, err := w.one(0).Ask(t.Context(), next.call, next.agent, next.turn)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Admitted {
			begun[next.agent]++
			ends[next.call] = w.time().Add(6 * time.Second)
			continue
		}
		next.again, next.turn = answer.Again, answer.Turn
		line = append(line, next)
	}
	if begun["other"] < 10 || begun["busy"] < 10 {
		t.Errorf("%v have begun", begun)
	}
}
