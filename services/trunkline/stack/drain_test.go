// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// scheduler runs a bot-scheduler beside others until it ends or the test does, and gives the address of its health.
func (w *world) scheduler() (admin string, ended <-chan error) {
	w.t.Helper()
	services, err := stack.Pick("bot-scheduler")
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := *w.Config
	stack.FreePorts(&cfg)
	listeners := map[string]net.Listener{}
	for name, address := range map[string]string{"gateway": cfg.Listen.Gateway, "admin": cfg.Listen.Admin} {
		var listen net.ListenConfig
		if listeners[name], err = listen.Listen(w.t.Context(), "tcp", address); err != nil {
			w.t.Fatal(err)
		}
	}
	cfg.Gateway.URL = "http://" + listeners["gateway"].Addr().String()
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(w.t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		done <- app.Run(ctx, app.Options{Config: &cfg, Secrets: w.Secrets, Log: app.NewLog(w.logs, cfg.Log), Dev: true, Listeners: listeners}, services...)
	}()
	w.t.Cleanup(func() { stop(); <-gone })
	return "http://" + listeners["admin"].Addr().String(), done
}

// A scheduler that drains ends the bots that it has kept warm, finishes its calls and is gone; those who wait in its line,
// and those who call meanwhile, wait for it no longer than for any other.
func TestNobodyWaitsForASchedulerThatDrains(t *testing.T) {
	agent := bot(1)
	agent.Warm = 1
	w := start(t, agent, noScheduler)
	admin, ended := w.scheduler()
	w.URLs["admin"] = admin
	w.warm(1)
	talks := w.connected(w.place(sim.CallSpec{From: caller}))
	w.expect(talks, "CallConnected")
	waits := w.place(sim.CallSpec{From: "+14155550124"})
	w.expect(waits, "RoomReady.1")

	res, err := http.Post(admin+"/drain", "", nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("drain: %v %v", res, err)
	}
	w.warm(0)
	select {
	case err := <-ended:
		t.Fatalf("ended in the middle of a call: %v", err)
	default:
	}
	w.scheduler()
	if err := w.Sim.Hangup(talks.ID); err != nil {
		t.Fatal(err)
	}
	w.connected(waits)
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end when its calls are over")
	}
	if n := w.attempts(talks) + w.attempts(waits); n != 2 {
		t.Errorf("%d attempts for two calls", n)
	}
	if err := w.Sim.Hangup(waits.ID); err != nil {
		t.Fatal(err)
	}
	w.sound(waits)
}
