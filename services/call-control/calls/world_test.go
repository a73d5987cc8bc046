// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

var secrets = config.Secrets{DailyAPIKey: "of-nobody", TrunklineSecret: []config.Secret{"known-to-all-of-our-services"}}

// world is call-control as it runs, with everybody else's place on the bus.
type world struct {
	t                             *testing.T
	nats                          string
	ingress, rooms, bots, control *bus.Bus
	transfers                     *bus.Bus
	url                           string // of the RPC
	key                           string // for everything
	client                        controlv1connect.CallServiceClient
	stop                          func() // ends call-control and waits for it
	change                        []func(*config.Config)
}

func newWorld(t *testing.T, change ...func(*config.Config)) *world {
	t.Helper()
	server := bustest.Start(t)
	w := newWorldWithout(t, server.Setup(calls.Service.Needs))
	w.nats, w.change = server.ClientURL(), change
	w.key = w.newKey("test", auth.Admin)
	w.start()
	return w
}

// newWorldWithout is a world in which call-control does not run.
func newWorldWithout(t *testing.T, js jetstream.JetStream) *world {
	log := slog.New(slog.DiscardHandler)
	return &world{
		t: t, ingress: bus.New("ingress", js, log, nil), rooms: bus.New("room-provisioner", js, log, nil),
		bots: bus.New("bot-scheduler", js, log, nil), control: bus.New("call-control", js, log, nil),
		transfers: bus.New("transfer-service", js, log, nil),
	}
}

func (w *world) newKey(name string, scopes ...string) (token string) {
	w.t.Helper()
	keys, err := auth.Open(w.t.Context(), w.control.JS)
	if err != nil {
		w.t.Fatal(err)
	}
	if token, err = keys.Add(w.t.Context(), name, scopes...); err != nil {
		w.t.Fatal(err)
	}
	return token
}

// clientOf gives a client that has a key.
func (w *world) clientOf(key string, options ...connect.ClientOption) controlv1connect.CallServiceClient {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true) // for gRPC
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	w.t.Cleanup(client.CloseIdleConnections)
	return controlv1connect.NewCallServiceClient(client, w.url, append(options, connect.WithInterceptors(auth.Bearer(key)))...)
}

// start runs call-control, on ports of its own.
func (w *world) start() {
	w.t.Helper()
	cfg := config.Default()
	cfg.NATS.URL = w.nats
	for _, f := range w.change {
		f(cfg)
	}
	control, admin := listen(w.t), listen(w.t)
	w.url = "http://" + control.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- app.Run(ctx, app.Options{
			Config: cfg, Log: slog.New(slog.DiscardHandler), Secrets: secrets, Listeners: map[string]net.Listener{"control": control, "admin": admin},
		}, calls.Service)
	}()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(w.stop)
	w.client = w.clientOf(w.key)
	awaitReady(w.t, "http://"+admin.Addr().String()+"/readyz")
}

// publish stores events of a call, each by its author.
func (w *world) publish(callID string, events ...proto.Message) {
	w.t.Helper()
	for _, m := range events {
		by := w.bots
		switch m.(type) {
		case *callv1.CallReceived, *callv1.DialinReady, *callv1.LegConnected, *callv1.LegEnded, *callv1.LegFailed, *callv1.ParticipantLeft,
			*callv1.LegAnswered, *callv1.LegTransfer:
			by = w.ingress
		case *callv1.TransferRequested, *callv1.TransferStarting, *callv1.TransferStarted, *callv1.TransferMissed, *callv1.TransferAnswered,
			*callv1.TransferCompleted, *callv1.TransferFailed, *callv1.TransferCancelled:
			by = w.transfers
		case *callv1.RoomReady, *callv1.RoomFailed, *callv1.RoomReleased, *callv1.LegSeen, *callv1.LegLost:
			by = w.rooms
		case *callv1.CallRequested, *callv1.CallEnded, *callv1.CallConnected, *callv1.AttemptRequested:
			by = w.control
		}
		if _, err := by.Publish(w.t.Context(), callID, m); err != nil {
			w.t.Fatal(err)
		}
	}
}

// expect waits for an event of a call.
func expectEvent[T proto.Message](w *world, callID, key string) T {
	w.t.Helper()
	m, ok := bustest.Expect(w.t, w.control, callID, key).Data.(T)
	if !ok {
		w.t.Fatalf("%s is no %T", key, m)
	}
	return m
}

func comesIn(budget, longest time.Duration) *callv1.CallReceived {
	return &callv1.CallReceived{From: "+14155550123", To: "+14155550199", Agent: "sales", AnswerBudget: durationpb.New(budget), MaxDuration: durationpb.New(longest)}
}

// connects is what happens until caller and bot are together.
func connects() []proto.Message {
	return []proto.Message{
		&callv1.RoomReady{Attempt: 1}, &callv1.BotStarting{Attempt: 1}, &callv1.BotStarted{Attempt: 1}, &callv1.BotReady{Attempt: 1},
		&callv1.ForwardStarted{Attempt: 1}, &callv1.CallForwarded{Attempt: 1}, &callv1.LegConnected{SessionId: "leg"},
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	eventually(t, "call-control is ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}
