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
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

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
	// Drains is set for a service that heeds Env.Drain.
	Drains bool
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
	// Drain tells the service to finish its work.
	Drain *Drain
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
	// NKeys are the seeds of the services' users of NATS, where each has its own and not Secrets.NATSNKey.
	NKeys map[string]config.Secret
	// Listeners are opened already, by the name of what is served on them; the others are opened as configured.
	Listeners map[string]net.Listener
}

// Main runs one service as a process of its own and exits. With the word health it asks that process how it is.
func Main(s Service) {
	err := func() error {
		ctx, stop := UntilStopped()
		defer stop()
		if len(os.Args) == 2 && os.Args[1] == healthCommand {
			return Health(ctx, ConfigPath(), "")
		}
		o, err := Load(ConfigPath())
		if err != nil {
			return err
		}
		return Run(ctx, o, s)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, s.Name+":", err)
		os.Exit(1)
	}
}

// Load reads the configuration file and the secrets. NATS_URL goes before the file's nats.url, and NATS_REPLICAS before
// its nats.replicas.
func Load(path string) (Options, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return Options{}, err
	}
	if url := os.Getenv("NATS_URL"); url != "" {
		cfg.NATS.URL = url
	}
	if text := os.Getenv("NATS_REPLICAS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || !slices.Contains([]int{1, 3, 5}, n) {
			return Options{}, fmt.Errorf("NATS_REPLICAS: must be 1, 3 or 5, not %q", text)
		}
		cfg.NATS.Replicas = n
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

// Run runs services in this process until the context ends or one of them fails. They stop together. How they are can be
// asked until the last has stopped.
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
	ready, drain := newReadiness(), newDrain()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	group, ctx := errgroup.WithContext(ctx)
	var serving sync.WaitGroup
	for _, s := range services {
		log, secrets := o.Log.With("service", s.Name), o.Secrets
		if key, ok := o.NKeys[s.Name]; ok {
			secrets.NATSNKey = key
		}
		nc, err := Connect(o.Config, secrets, s.Name, log, refuse)
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
			Config: o.Config, Secrets: secrets, Log: log, Bus: b, Timers: timer.Timers{Bus: b}, Registry: registry,
			Ready: ready.of(s.Name, nc), Drain: drain, Dev: o.Dev, UnsignedWebhooks: o.UnsignedWebhooks,
			listeners: o.Listeners, http: httpMetrics, daily: dailyMetrics,
		}
		serving.Add(1)
		group.Go(func() error {
			defer serving.Done()
			if err := awaitSetup(ctx, env, s.Needs); err != nil || ctx.Err() != nil {
				return err
			}
			log.Info("started")
			if err := s.Serve(ctx, env); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			log.Info("stopped")
			if s.Drains && drain.done() {
				return errDrained
			}
			return nil
		})
	}
	var drains http.Handler
	if slices.ContainsFunc(services, func(s Service) bool { return s.Drains }) {
		drains = drain
	}
	admin := &Env{Config: o.Config, Log: o.Log, listeners: o.Listeners, http: httpMetrics}
	asked, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group.Go(func() error {
		return admin.HTTP(asked, "admin", o.Config.Listen.Admin, adminMux(registry, ready, drains))
	})
	group.Go(func() error {
		<-ctx.Done()
		serving.Wait()
		end()
		return nil
	})
	if err := group.Wait(); err != nil && !errors.Is(err, errDrained) {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrRefused) {
		return cause
	}
	return nil
}

// awaitSetup waits until what the service needs is there: somebody runs `trunkline setup`.
func awaitSetup(ctx context.Context, env *Env, needs bus.Needs) error {
	for told, why := false, error(nil); ; {
		err := bus.Check(ctx, env.Bus.JS, needs)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if !told {
			env.Log.Warn("waiting for NATS and for `trunkline setup`", "err", err)
			told = true
		}
		if nc := env.Bus.JS.Conn(); why == nil && !nc.IsConnected() {
			if why = nc.LastError(); why != nil {
				env.Log.Warn("NATS cannot be reached", "err", why)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
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
