// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/services/call-control/admission"
)

// world is a broker, a clock that moves when it is told to, and three instances, each with a connection of its own.
type world struct {
	*testing.T
	server    *bustest.Server
	instances []*admission.Admission

	mu  sync.Mutex
	now time.Time
}

// newWorld makes the instances' clocks differ by the skew given, from the first to the last.
func newWorld(t *testing.T, limits admission.Limits, skew time.Duration) *world {
	t.Helper()
	w := &world{T: t, server: bustest.Start(t), now: epoch}
	w.server.Setup(bus.Needs{Service: "call-control", Buckets: []jetstream.KeyValueConfig{admission.Bucket}})
	for i := range 3 {
		w.instances = append(w.instances, w.instance(limits, skew*time.Duration(i-1)/2))
	}
	return w
}

var epoch = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func (w *world) instance(limits admission.Limits, ahead time.Duration) *admission.Admission {
	w.Helper()
	a, err := admission.Open(w.Context(), w.server.Connect(), limits, func() time.Time { return w.time().Add(ahead) })
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// one gives an instance: i is taken modulo their number.
func (w *world) one(i int) *admission.Admission { return w.instances[i%len(w.instances)] }

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// until moves the clock, never back.
func (w *world) until(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.After(w.now) {
		w.now = at
	}
}

func (w *world) pass(d time.Duration) { w.until(w.time().Add(d)) }

func (w *world) ask(i int, call, agent string, turn bool) admission.Answer {
	w.Helper()
	line := admission.NoTurn
	if turn {
		line = admission.AllTurn
	}
	answer, err := w.one(i).Ask(w.Context(), call, agent, line)
	if err != nil {
		w.Fatal(err)
	}
	return answer
}

func (w *world) release(i int, call string) {
	w.Helper()
	if err := w.one(i).Release(w.Context(), call); err != nil {
		w.Fatal(err)
	}
}

// holders counts those who have a place, in all and with an agent.
func (w *world) holders(agent string) (all, own int) {
	w.Helper()
	held, err := w.one(1).Holders(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, a := range held {
		if a == agent {
			own++
		}
	}
	return len(held), own
}

func name(i int) string { return fmt.Sprintf("call-%04d", i) }

// waiter is a call that has been told to ask again.
type waiter struct {
	call, agent string
	again       time.Time
}

// next takes the one whose turn is first out of the line, and lets the time come.
func (w *world) next(line *[]waiter) waiter {
	first := 0
	for i, v := range *line {
		if v.again.Before((*line)[first].again) {
			first = i
		}
	}
	v := (*line)[first]
	*line = append((*line)[:first], (*line)[first+1:]...)
	w.until(v.again)
	return v
}

// most is the greatest number of times within any window.
func most(times []time.Time, window time.Duration) (n int) {
	for i, from := range times {
		end := i
		for end < len(times) && times[end].Sub(from) < window {
			end++
		}
		n = max(n, end-i)
	}
	return n
}

// together runs f for each of n at the same time.
func together(n int, f func(i int)) time.Duration {
	begin := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-begin
			f(i)
		})
	}
	start := time.Now()
	close(begin)
	group.Wait()
	return time.Since(start)
}
