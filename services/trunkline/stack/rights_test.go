// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// That each service works with its rights is shown by every other test of this package: all have no more than these.
func TestAServiceMayDoOnlyItsOwnWork(t *testing.T) {
	w := start(t, bot(1))
	phone := w.connected(w.place(sim.CallSpec{From: caller}))
	id := w.id(phone)
	nobodys := []string{
		"$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.UPDATE.CALLS", "$JS.API.STREAM.PURGE.CALLS", "$JS.API.STREAM.DELETE.CALLS",
		"$JS.API.STREAM.MSG.DELETE.CALLS", "$JS.API.STREAM.MSG.GET.CALLS", "$JS.API.STREAM.PURGE.KV_slots", "$JS.API.STREAM.PURGE.KV_keys", "$JS.API.STREAM.MSG.DELETE.KV_keys", "$JS.API.CONSUMER.DELETE.CALLS.call-control",
		"$JS.API.CONSUMER.CREATE.CALLS.another", "$JS.API.CONSUMER.DURABLE.CREATE.CALLS.another", "$JS.API.STREAM.SNAPSHOT.CALLS",
		"$SYS.REQ.SERVER.PING", "anything.else",
	}
	for service, foreign := range map[string][]string{
		"ingress": {
			bus.Subject(id, &callv1.CallEnded{}), bus.Subject(id, &callv1.RoomReady{Attempt: 2}), bus.Subject(id, &callv1.ForwardStarted{Attempt: 2}),
			"$JS.API.DIRECT.GET.CALLS", "$JS.API.DIRECT.GET.CALLS." + bus.Subject(id, &callv1.RoomReady{Attempt: 1}),
			"$JS.API.CONSUMER.MSG.NEXT.CALLS.call-control", "timer.call-control.limit." + id + ".0", "cancelled.bot-scheduler",
			"$KV.slots.agent.0", "$KV.keys.mine", "$JS.API.DIRECT.GET.KV_keys.$KV.keys.dev", "$JS.API.DIRECT.GET.KV_jobs.$KV.jobs.x", "keeper." + id + ".1", "dead.call-control.x",
		},
		"room-provisioner": {
			bus.Subject(id, &callv1.CallReceived{}), bus.Subject(id, &callv1.BotReady{Attempt: 2}), bus.Subject(id, &callv1.CallEnded{}),
			"$JS.API.CONSUMER.MSG.NEXT.CALLS.bot-scheduler", "$JS.ACK.CALLS.bot-scheduler.1.1.1.1.1", "timer.bot-scheduler.deadline." + id + ".1",
			"fired.call-control.limit." + id + ".0", "$KV.slots.agent.0", "keeper." + id + ".1",
		},
		"bot-scheduler": {
			bus.Subject(id, &callv1.CallReceived{}), bus.Subject(id, &callv1.CallEnded{}), bus.Subject(id, &callv1.RoomReady{Attempt: 2}),
			bus.Subject(id, &callv1.AttemptRequested{Attempt: 2}), "timer.call-control.limit." + id + ".0", "cancelled.call-control",
			"fired.bot-scheduler.deadline." + id + ".1", "$JS.API.CONSUMER.MSG.NEXT.TIMERS_call-control.call-control", "$JS.API.STREAM.PURGE.TIMERS_bot-scheduler",
		},
		"call-control": {
			bus.Subject(id, &callv1.CallReceived{}), bus.Subject(id, &callv1.BotReady{Attempt: 2}), bus.Subject(id, &callv1.RoomReady{Attempt: 2}),
			"timer.bot-scheduler.deadline." + id + ".1", "cancelled.bot-scheduler", "$KV.slots.agent.0", "keeper." + id + ".1",
			"$JS.API.CONSUMER.MSG.NEXT.CALLS.ingress",
			"$KV.keys.mine", "$JS.API.CONSUMER.CREATE.KV_keys.x.$KV.keys.>", "$JS.API.STREAM.MSG.GET.KV_keys", // it reads keys, and makes none
		},
		"transfer-service": {
			bus.Subject(id, &callv1.CallReceived{}), bus.Subject(id, &callv1.CallEnded{}), bus.Subject(id, &callv1.AttemptRequested{Attempt: 2}),
			bus.Subject(id, &callv1.BotReady{Attempt: 2}), bus.Subject(id, &callv1.DialStarting{Attempt: 2}), bus.Subject(id, &callv1.LegAnswered{SessionId: "x"}),
			"timer.call-control.limit." + id + ".0", "cancelled.call-control", "fired.transfer-service.step." + id + ".0", "dead.call-control.x",
			"$KV.slots.agent.0", "$KV.dialouts.x", "keeper." + id + ".1", "$JS.API.CONSUMER.MSG.NEXT.CALLS.call-control",
			"$KV.keys.mine", "$JS.API.CONSUMER.CREATE.KV_keys.x.$KV.keys.>", "$JS.API.STREAM.MSG.GET.KV_keys",
		},
	} {
		t.Run(service, func(t *testing.T) {
			for _, subject := range append(nobodys, foreign...) {
				if !denied(t, w, service, func(nc *nats.Conn) error { return nc.Publish(subject, nil) }, subject) {
					t.Errorf("may publish to %s", subject)
				}
			}
			subjects := []string{"_INBOX_another.>", "_INBOX.>", "timer.>", "$KV.>", ">"}
			if service == "ingress" || service == "bot-scheduler" {
				subjects = append(subjects, "calls.>")
			}
			for _, subject := range subjects {
				if !denied(t, w, service, func(nc *nats.Conn) error { _, err := nc.Subscribe(subject, func(*nats.Msg) {}); return err }, subject) {
					t.Errorf("may subscribe to %s", subject)
				}
			}
		})
	}
	if s := w.state(phone); s.Ended != nil || len(s.Attempts) != 1 || s.Attempt(2) != nil {
		t.Errorf("something got through:\n%s", w.told(phone))
	}
}

// denied does something as a service's user and reports whether NATS refuses it.
func denied(t *testing.T, w *world, service string, do func(*nats.Conn) error, subject string) bool {
	t.Helper()
	key, err := nkeys.FromSeed([]byte(w.NKeys[service].Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 1)
	nc, err := nats.Connect(w.URLs["nats"], nats.Nkey(public, key.Sign), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := do(nc); err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(5 * time.Second); err != nil { // a refusal comes before its answer
		t.Fatal(err)
	}
	last := nc.LastError()
	return errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), `"`+subject+`"`)
}

func TestAServiceWithoutItsRightsStopsAndSaysWhichItLacks(t *testing.T) {
	w := start(t, bot(1))
	services, err := stack.Pick("call-control")
	if err != nil {
		t.Fatal(err)
	}
	cfg := *w.Config
	stack.FreePorts(&cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = app.Run(ctx, app.Options{
		Config: &cfg, Secrets: w.Secrets, Log: app.NewLog(w.logs, cfg.Log), NKeys: map[string]config.Secret{"call-control": w.NKeys["ingress"]},
	}, services...)
	if !errors.Is(err, app.ErrRefused) || !strings.Contains(err.Error(), `"_INBOX_call-control.`) && !strings.Contains(err.Error(), `"$JS.API.CONSUMER.INFO.CALLS.call-control"`) {
		t.Errorf("it ended with: %v", err)
	}
}

func TestAnUnknownUserIsToldSo(t *testing.T) {
	w := start(t, bot(1))
	_, strangers, err := stack.NewNKeys()
	if err != nil {
		t.Fatal(err)
	}
	services, err := stack.Pick("ingress")
	if err != nil {
		t.Fatal(err)
	}
	cfg := *w.Config
	stack.FreePorts(&cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = app.Run(ctx, app.Options{Config: &cfg, Secrets: w.Secrets, Log: app.NewLog(w.logs, cfg.Log), NKeys: strangers}, services...)
	if !errors.Is(err, app.ErrRefused) || !strings.Contains(err.Error(), "ingress") {
		t.Errorf("it ended with: %v", err)
	}
}
