// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// noScheduler leaves bot-scheduler to the test.
func noScheduler(o *stack.Options) {
	o.Services = slices.DeleteFunc(stack.Services(), func(s app.Service) bool { return s.Name == "bot-scheduler" })
}

// schedulers are one after the other, at the same address.
func (w *world) schedulers() (begin func() (end func())) {
	w.t.Helper()
	services, err := stack.Pick("bot-scheduler")
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := *w.Config
	stack.FreePorts(&cfg)
	gateway := cfg.Listen.Gateway
	return func() func() {
		var listen net.ListenConfig
		l, err := listen.Listen(w.t.Context(), "tcp", gateway)
		if err != nil {
			w.t.Fatal(err)
		}
		gateway = l.Addr().String()
		cfg.Gateway.URL = "http://" + gateway
		ctx, stop := context.WithCancel(w.t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- app.Run(ctx, app.Options{
				Config: &cfg, Secrets: w.Secrets, Log: app.NewLog(w.logs, cfg.Log), Dev: true, Listeners: map[string]net.Listener{"gateway": l},
			}, services...)
		}()
		over := false
		end := func() {
			if over {
				return
			}
			over = true
			stop()
			if err := <-ended; err != nil {
				w.t.Errorf("bot-scheduler: %v", err)
			}
		}
		w.t.Cleanup(end)
		return end
	}
}

// held counts the slots that are.
func (w *world) held() (n int) {
	w.t.Helper()
	kv, err := w.JS.KeyValue(w.t.Context(), "slots")
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := kv.ListKeys(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for range keys.Keys() {
		n++
	}
	return n
}

// The death of a scheduler neither frees the slot of a bot elsewhere nor loses it: while nobody looks it is held, and the
// next scheduler finds out what became of the bot.
func TestASlotElsewhereOutlivesItsScheduler(t *testing.T) {
	everywhere(t, map[int]string{1: "--outstay"}, func(t *testing.T, w *world, p place) {
		begin := w.schedulers()
		end := begin()
		phone := w.connected(w.place(sim.CallSpec{From: caller}))
		w.expect(phone, "BotStarted.1")
		end()
		gone := time.Now()
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.expect(phone, "CallEnded")
		w.poll("a lease to run out, if it were one", func() bool { return time.Since(gone) > p.agent.Lease })
		if n := w.held(); n != 1 {
			t.Errorf("%d slots are held", n)
		}
		begin()
		w.exitedAs(phone, 1)
		w.sound(phone)
		if n := p.hall.Live(); n != 0 {
			t.Errorf("%d bots live", n)
		}
	}, noScheduler)
}

// An intent without a result is settled from outside: the bot that was started after all takes its call, and no second one
// is started.
func TestAStartThatWasCutShortIsNotRepeated(t *testing.T) {
	everywhere(t, map[int]string{1: "--join-delay=8s"}, func(t *testing.T, w *world, p place) {
		if p.agent.Backend == config.Pod {
			t.Skip("a pod does not answer before the bot's end")
		}
		answer := make(chan struct{})
		p.hall.Fail(remotetest.Fault{Acts: true, Holds: answer, Status: 500})
		begin := w.schedulers()
		end := begin()
		phone := w.place(sim.CallSpec{From: caller})
		w.poll("the request", func() bool { return len(p.hall.Started()) == 1 })
		end()
		close(answer)
		begin()
		w.connected(phone)
		if n := len(p.hall.Started()); n != 1 || w.attempts(phone) != 1 {
			t.Errorf("%d bots were started in %d attempts\n%s", n, w.attempts(phone), w.told(phone))
		}
		if err := w.Sim.Hangup(phone.ID); err != nil {
			t.Fatal(err)
		}
		w.ended(phone)
	}, noScheduler, func(o *stack.Options) {
		a := o.Config.Agents["agent"]
		a.ReadyTimeout = 30 * time.Second
		o.Config.Agents["agent"] = a
	})
}
