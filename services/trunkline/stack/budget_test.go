// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// Daily's limit for most requests.
const (
	limit       = 100
	limitWindow = 5 * time.Second
)

// second runs a second process's worth of services beside the world's, until the test ends.
func (w *world) second(names ...string) {
	w.t.Helper()
	services, err := stack.Pick(names...)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := *w.Config
	stack.FreePorts(&cfg)
	var listen net.ListenConfig
	gateway, err := listen.Listen(w.t.Context(), "tcp", cfg.Listen.Gateway)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Gateway.URL = "http://" + gateway.Addr().String()
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(w.t.Context(), app.Options{
			Config: &cfg, Secrets: w.Secrets, Log: app.NewLog(w.logs, cfg.Log).With("process", 2), Dev: true,
			Listeners: map[string]net.Listener{"gateway": gateway},
		}, services...)
	}()
	w.t.Cleanup(func() { // before the world's own end, and after the context's
		if err := <-ended; err != nil {
			w.t.Errorf("the second process: %v", err)
		}
	})
}

// Two of each together keep what Daily allows to the domain, whatever comes at once; and what a caller waits for goes
// before what can wait.
func TestTwoProcessesKeepDailysBudgetTogether(t *testing.T) {
	const callers = 64
	w := start(t, bot(callers), func(o *stack.Options) {
		o.Config.Daily.Budget.Unlimited = false
		o.Config.Daily.JanitorInterval = 50 * time.Millisecond
	}, withSim(func(c *sim.Config) { c.Budgets.Lifted = false }))
	w.second("room-provisioner", "bot-scheduler")
	looks := []time.Time{time.Now()}
	phones := make([]sim.Call, callers)
	for i := range phones {
		phones[i] = w.place(sim.CallSpec{From: caller})
	}
	forwards := make([]time.Duration, callers)
	for i, phone := range phones {
		if phone = w.connected(phone); phone.State != sim.Connected {
			t.Fatalf("a caller was not forwarded: %s\n%s", phone.Why, w.told(phone))
		}
		w.settled(phone)
		s := w.state(phone)
		forwards[i] = w.forwards(phone)[0].At.Sub(s.Attempt(s.Forwarded.Data.GetAttempt()).ForwardAt)
	}
	forwarded := time.Now()
	w.wait("the janitor", func() bool {
		all := w.Sim.Requests()
		return slices.ContainsFunc(all, func(r sim.Request) bool { return r.Path == "/presence" && r.At.After(forwarded) })
	})
	var sent []time.Time
	for _, r := range w.Sim.Requests() {
		if r.Status == 429 {
			t.Errorf("%s %s was one too many", r.Method, r.Path)
		}
		sent = append(sent, r.At)
		if r.Method+" "+r.Path == "GET /presence" && r.At.After(looks[0]) {
			looks = append(looks, r.At)
		}
	}
	if n := most(sent, limitWindow); n > limit {
		t.Errorf("%d requests within %s", n, limitWindow)
	}
	var gaps []time.Duration
	for i := range looks[1:] {
		gaps = append(gaps, looks[i+1].Sub(looks[i])-w.Config.Daily.JanitorInterval)
	}
	slices.Sort(forwards)
	slices.Sort(gaps)
	forward, worst, janitor := forwards[callers/2], forwards[callers-1], gaps[len(gaps)-1]
	t.Logf("%d requests, at most %d within %s; forwards waited for %s in the middle, %s at worst; the janitor for up to %s (%d looks)",
		len(sent), most(sent, limitWindow), limitWindow, forward, worst, janitor, len(looks))
	if forward > janitor/4 || worst > janitor {
		t.Errorf("forwards waited for %s and up to %s, the janitor for up to %s", forward, worst, janitor)
	}
	for _, phone := range phones {
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.sound(phones...)
}

// most is the largest number of times within any window.
func most(times []time.Time, window time.Duration) (n int) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}
