// SPDX-License-Identifier: Apache-2.0

// Package stack is a whole Trunkline in one process: NATS, every service and the Daily simulator, with bots as processes
// of their own. It is what `trunkline dev` and `trunkline demo` run, and what tests of the whole run on.
package stack

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// Options are what a stack is made of.
type Options struct {
	// Dir keeps NATS's files.
	Dir string
	// Sync is how often NATS syncs its files; 0 is before every acknowledgement, so that a power cut loses nothing.
	Sync time.Duration
	// Config's addresses are listened on; port 0 is a free one. Its Daily and NATS are replaced by the stack's own.
	Config *config.Config
	Ports  Ports
	Log    *slog.Logger
	// Sim changes the simulator's settings.
	Sim func(*sim.Config)
	// NoDomainWebhook leaves Daily's domain webhook unregistered, as without a public URL.
	NoDomainWebhook bool
	// UnsignedWebhooks lets webhooks in that nobody signed.
	UnsignedWebhooks bool
	// Given are secrets that others have given us. The rest is made up.
	Given config.Secrets
	// Services are those that run; nil is all.
	Services []app.Service
}

// Ports are those of what the configuration does not name.
type Ports struct{ NATS, Sim int }

// readyWithin is long enough for a store full of calls to be read on a busy machine.
const readyWithin = time.Minute

// Stack is a running Trunkline.
type Stack struct {
	Sim     *sim.Sim
	Config  *config.Config
	Secrets config.Secrets
	// NKeys are the seeds of NATS's users, by their names.
	NKeys map[string]config.Secret
	JS    jetstream.JetStream
	// Key is an API key that is good for everything.
	Key config.Secret
	// URLs by what is served: sim, ingress, gateway, control, transfer, admin, nats.
	URLs map[string]string

	stop context.CancelFunc
	done chan struct{}
	err  error
}

// Start starts a stack and waits until it is ready for calls.
func Start(ctx context.Context, o Options) (*Stack, error) {
	public, keys, err := NewNKeys()
	if err != nil {
		return nil, err
	}
	b, err := startBroker(filepath.Clean(o.Dir), o.Ports.NATS, o.Sync, public)
	if err != nil {
		return nil, err
	}
	s := &Stack{Config: o.Config, NKeys: keys, URLs: map[string]string{"nats": b.ClientURL()}, done: make(chan struct{})}
	s.Config.NATS.URL = b.ClientURL()
	listeners, err := s.listen(ctx, o)
	if err != nil {
		return nil, errors.Join(err, b.stop())
	}
	s.Secrets = newSecrets()
	s.Secrets.PipecatCloudKey, s.Secrets.PipecatCloudPrivateKey = o.Given.PipecatCloudKey, o.Given.PipecatCloudPrivateKey
	s.Sim = s.newSim(o)

	nc, err := app.Connect(s.Config, config.Secrets{}, "setup", o.Log, func(error) {})
	if err != nil {
		return nil, errors.Join(err, b.stop())
	}
	if s.JS, err = jetstream.New(nc); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	if err := setup(ctx, s.JS, bus.Settings{Replicas: 1, MaxAge: s.Config.NATS.MaxAge}); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	if s.Key, err = newKey(ctx, s.JS); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	services := o.Services
	if services == nil {
		services = Services()
	}
	// First the services end, and with them the bots; then what they need to end well.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	world, endWorld := context.WithCancel(context.WithoutCancel(ctx))
	var outside errgroup.Group
	outside.Go(func() error { return s.Sim.Run(world) })
	server := &http.Server{Handler: s.Sim.Handler(), ReadHeaderTimeout: 5 * time.Second}
	outside.Go(func() error {
		if err := server.Serve(listeners["sim"]); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	go func() {
		defer close(s.done)
		s.err = app.Run(life, app.Options{
			Config: s.Config, Secrets: s.Secrets, Log: o.Log, Dev: true, UnsignedWebhooks: o.UnsignedWebhooks, Listeners: listeners, NKeys: keys,
		}, services...)
		endWorld()
		s.err = errors.Join(s.err, server.Close(), outside.Wait())
		nc.Close()
		s.err = errors.Join(s.err, b.stop())
	}()
	if err := s.awaitReady(ctx, o); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// setup gives up what another configuration has kept for longer: the store is a developer's own.
func setup(ctx context.Context, js jetstream.JetStream, settings bus.Settings) error {
	plan, err := bus.MakePlan(ctx, js, settings, Needs()...)
	if err != nil {
		return err
	}
	return plan.Apply(ctx, true)
}

// newKey makes the API key dev. One of an earlier run is gone with it.
func newKey(ctx context.Context, js jetstream.JetStream) (config.Secret, error) {
	const name = "dev"
	keys, err := auth.Open(ctx, js)
	if err != nil {
		return "", err
	}
	if err := keys.Revoke(ctx, name); err != nil && !errors.Is(err, auth.ErrUnknown) {
		return "", err
	}
	token, err := keys.Add(ctx, name, auth.Admin)
	return config.Secret(token), err
}

// Control gives a client of call-control that may do everything.
func (s *Stack) Control() controlv1connect.CallServiceClient {
	return controlv1connect.NewCallServiceClient(http.DefaultClient, s.URLs["control"], connect.WithInterceptors(auth.Bearer(s.Key.Reveal())))
}

// Transfers gives a client of transfer-service that may do everything.
func (s *Stack) Transfers() transferv1connect.TransferServiceClient {
	return transferv1connect.NewTransferServiceClient(http.DefaultClient, s.URLs["transfer"], connect.WithInterceptors(auth.Bearer(s.Key.Reveal())))
}

// Stop ends everything and waits for it.
func (s *Stack) Stop() error {
	s.stop()
	<-s.done
	return s.err
}

// Done is closed when the stack has ended, by itself or by Stop.
func (s *Stack) Done() <-chan struct{} { return s.done }

func (s *Stack) listen(ctx context.Context, o Options) (map[string]net.Listener, error) {
	listeners := map[string]net.Listener{}
	var config net.ListenConfig
	for name, addr := range map[string]string{
		"ingress": s.Config.Listen.Ingress, "gateway": s.Config.Listen.Gateway, "control": s.Config.Listen.Control,
		"transfer": s.Config.Listen.Transfer, "admin": s.Config.Listen.Admin, "sim": fmt.Sprintf("127.0.0.1:%d", o.Ports.Sim),
	} {
		l, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, fmt.Errorf("listen for %s: %w", name, err)
		}
		listeners[name] = l
		s.URLs[name] = fmt.Sprintf("http://127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port)
	}
	s.Config.Gateway.URL, s.Config.Control.URL, s.Config.Transfer.URL = s.URLs["gateway"], s.URLs["control"], s.URLs["transfer"]
	s.Config.Daily.APIURL = s.URLs["sim"] + "/v1"
	s.Config.PublicURL = s.URLs["ingress"]
	if o.NoDomainWebhook {
		s.Config.PublicURL = ""
	}
	return listeners, nil
}

func (s *Stack) newSim(o Options) *sim.Sim {
	cfg := sim.Defaults()
	cfg.APIKey = s.Secrets.DailyAPIKey.Reveal()
	cfg.PublicURL = s.URLs["sim"] // without a path: Pipecat takes all of it for the name of a room
	cfg.Numbers = []sim.Number{{
		Number: "*", WebhookURL: s.URLs["ingress"] + s.Config.Ingress.DialinPaths[0], HMAC: s.Secrets.DailyPinlessHMAC[0].Reveal(),
	}}
	cfg.Budgets.Dial.Limit = s.Config.Daily.Budget.DialsPer5s
	if o.Sim != nil {
		o.Sim(&cfg)
	}
	return sim.New(cfg)
}

// newSecrets makes up what only this stack knows.
func newSecrets() config.Secrets {
	secret := func() config.Secret {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw) // never fails
		return config.Secret(base64.StdEncoding.EncodeToString(raw))
	}
	return config.Secrets{
		DailyAPIKey: secret(), DailyPinlessHMAC: []config.Secret{secret()}, DailyWebhookHMAC: []config.Secret{secret()},
		TrunklineSecret: []config.Secret{secret()},
	}
}

// awaitReady waits until every service says that it is ready and Daily's webhook is registered.
func (s *Stack) awaitReady(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		if s.ready(ctx) && (o.NoDomainWebhook || s.Sim.Stats().Webhook == "ACTIVE") {
			return nil
		}
		select {
		case <-s.done:
			return errors.New("the services have ended")
		case <-ctx.Done():
			return errors.New("the services did not get ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Stack) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URLs["admin"]+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}
