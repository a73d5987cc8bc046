// SPDX-License-Identifier: Apache-2.0

// Package app is what every service needs around its own work, so that a service is one function and its main is one
// line: signals, configuration, logs, metrics, traces, the connection to NATS, HTTP servers, health and a graceful end.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/timer"
)

// Service is one of Trunkline's services.
type Service struct {
	Name string
	// Needs is what the service needs the bus to have; Needs.Service is the name.
	Needs bus.Needs
	// Secrets names the environment variables that the service cannot do without.
	Secrets []string
	// Serve does the service's work until the context ends, and then returns nil.
	Serve func(context.Context, *Env) error
}

// Env is what a service finds around it.
type Env struct {
	Config   *config.Config
	Secrets  config.Secrets
	Log      *slog.Logger
	Bus      *bus.Bus
	Timers   timer.Timers
	Registry *prometheus.Registry
	// Ready tells the world when the service can do its work.
	Ready *Readiness
	// Dev is true where a world of its own was started for a developer: with a simulator, and gone when it stops.
	Dev bool
	// UnsignedWebhooks lets webhooks in that nobody signed.
	UnsignedWebhooks bool

	listeners map[string]net.Listener
	http      *httpMetrics
	daily     *dailyMetrics
}

// Options are what a process is started with.
type Options struct {
	Config  *config.Config
	Secrets config.Secrets
	Log     *slog.Logger
	Dev     bool
	// UnsignedWebhooks lets webhooks in that nobody signed: for development, and refused elsewhere.
	UnsignedWebhooks bool
	// Listeners are opened already, by the name of what is served on them; the others are opened as configured.
	Listeners map[string]net.Listener
}

// Main runs one service as a process of its own and exits.
func Main(s Service) {
	err := func() error {
		o, err := Load(ConfigPath())
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return Run(ctx, o, s)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, s.Name+":", err)
		os.Exit(1)
	}
}

// Load reads the configuration file and the secrets. NATS_URL goes before the file's nats.url.
func Load(path string) (Options, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return Options{}, err
	}
	if url := os.Getenv("NATS_URL"); url != "" {
		cfg.NATS.URL = url
	}
	secrets, err := config.LoadSecrets(os.Getenv)
	if err != nil {
		return Options{}, err
	}
	return Options{Config: cfg, Secrets: secrets, Log: NewLog(os.Stderr, cfg.Log)}, nil
}

// gcPercent is how much garbage a process lets grow before it collects, in percent of what it holds, unless GOGC says
// otherwise. What a service holds is a few tens of megabytes: Go's own 100 would have it collect many times a second.
const gcPercent = 400

// Run runs services in this process until the context ends or one of them fails. They stop together.
func Run(ctx context.Context, o Options, services ...Service) error {
	if o.UnsignedWebhooks && !o.Dev {
		return errors.New("unsigned webhooks are for development alone: set DAILY_PINLESS_HMAC and DAILY_WEBHOOK_HMAC")
	}
	var missing []error
	for _, s := range services {
		if err := o.Secrets.Require(s.Secrets...); err != nil {
			missing = append(missing, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	stopTracing, err := startTracing(ctx)
	if err != nil {
		return err
	}
	defer stopTracing()

	registry := newRegistry()
	busMetrics, httpMetrics, dailyMetrics := bus.NewMetrics(registry), newHTTPMetrics(registry), newDailyMetrics(registry)
	ready := newReadiness()
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range services {
		log := o.Log.With("service", s.Name)
		nc, err := Connect(o.Config, s.Name, log)
		if err != nil {
			return err
		}
		defer nc.Close() // after everything that uses it
		js, err := jetstream.New(nc)
		if err != nil {
			return fmt.Errorf("jetstream: %w", err)
		}
		b := bus.New(s.Name, js, log, busMetrics)
		env := &Env{
			Config: o.Config, Secrets: o.Secrets, Log: log, Bus: b, Timers: timer.Timers{Bus: b}, Registry: registry,
			Ready: ready.of(s.Name, nc), Dev: o.Dev, UnsignedWebhooks: o.UnsignedWebhooks,
			listeners: o.Listeners, http: httpMetrics, daily: dailyMetrics,
		}
		group.Go(func() error {
			if err := awaitSetup(ctx, env, s.Needs); err != nil || ctx.Err() != nil {
				return err
			}
			log.Info("started")
			if err := s.Serve(ctx, env); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			log.Info("stopped")
			return nil
		})
	}
	admin := &Env{Config: o.Config, Log: o.Log, listeners: o.Listeners, http: httpMetrics}
	group.Go(func() error { return admin.HTTP(ctx, "admin", o.Config.Listen.Admin, adminMux(registry, ready)) })
	return group.Wait()
}

// Connect connects to NATS and stays connected: it tries for ever, also the first time. Nothing is buffered while it is
// away, so that a publish fails at once instead of appearing to work.
func Connect(cfg *config.Config, name string, log *slog.Logger) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(name), nats.CustomInboxPrefix("_INBOX_" + name),
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS is away", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("NATS is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Error("NATS", "err", err) }),
	}
	if cfg.NATS.Credentials != "" {
		options = append(options, nats.UserCredentials(cfg.NATS.Credentials))
	}
	nc, err := nats.Connect(cfg.NATS.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return nc, nil
}

// awaitSetup waits until what the service needs is there: somebody runs `trunkline setup`.
func awaitSetup(ctx context.Context, env *Env, needs bus.Needs) error {
	for told := false; ; {
		err := bus.Check(ctx, env.Bus.JS, needs)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if !told {
			env.Log.Warn("waiting for NATS and for `trunkline setup`", "err", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// AwaitConnected waits until the connection is there.
func AwaitConnected(ctx context.Context, nc *nats.Conn) error {
	for !nc.IsConnected() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to NATS: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// ConfigPath is where the configuration file is, unless a flag says otherwise.
func ConfigPath() string {
	if p := os.Getenv("TRUNKLINE_CONFIG"); p != "" {
		return p
	}
	return "trunkline.yaml"
}

// NATSURL is where NATS is, unless a file or a flag says otherwise.
func NATSURL() string {
	if url := os.Getenv("NATS_URL"); url != "" {
		return url
	}
	return config.Default().NATS.URL
}
