// SPDX-License-Identifier: Apache-2.0

// Package webhooks takes Daily's webhooks: of each held caller, and of what happens in rooms. What it answers with 200
// is stored.
package webhooks

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
)

// Service is ingress.
var Service = app.Service{Name: "ingress", Needs: bus.Needs{Service: "ingress"}, Serve: serve}

// Ingress takes webhooks.
type Ingress struct {
	Config *config.Config
	Bus    *bus.Bus
	Log    *slog.Logger

	dialin, events verifier
	taken          *prometheus.CounterVec
}

type verifier interface {
	Verify(signature, timestamp string, body []byte) error
}

func serve(ctx context.Context, env *app.Env) error {
	i, err := New(env)
	if err != nil {
		return err
	}
	env.Ready.Yes()
	return env.HTTP(ctx, "ingress", env.Config.Listen.Ingress, i.Handler())
}

// New makes what takes webhooks. Without the secrets that it needs to know them it is an error.
func New(env *app.Env) (*Ingress, error) {
	i := &Ingress{
		Config: env.Config, Bus: env.Bus, Log: env.Log,
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trunkline_webhooks_total", Help: "Webhooks taken, by what became of them.",
		}, []string{"webhook", "result"}),
	}
	env.Registry.MustRegister(i.taken)
	if env.UnsignedWebhooks {
		env.Log.Error("WEBHOOKS ARE NOT CHECKED: anybody who reaches this process can place calls")
		i.dialin, i.events = unchecked{}, unchecked{}
		return i, nil
	}
	needed := []string{config.EnvDailyPinlessHMAC}
	if env.Config.PublicURL != "" {
		needed = append(needed, config.EnvDailyWebhookHMAC)
	}
	if err := env.Secrets.Require(needed...); err != nil {
		return nil, err
	}
	i.dialin, i.events = i.verifier(env.Secrets.DailyPinlessHMAC), i.verifier(env.Secrets.DailyWebhookHMAC)
	return i, nil
}

// verifier checks against any of the secrets; without one it refuses everything.
func (i *Ingress) verifier(secrets []config.Secret) verifier {
	v := &daily.Verifier{MaxAge: i.Config.Ingress.MaxAge}
	for _, s := range secrets {
		v.Secrets = append(v.Secrets, s.Reveal())
	}
	return v
}

// Handler serves the webhooks on the configured paths.
func (i *Ingress) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range i.Config.Ingress.DialinPaths {
		mux.HandleFunc("POST "+path, i.Dialin)
	}
	mux.HandleFunc("POST "+i.Config.Ingress.EventsPath, i.Events)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		app.Answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	return app.Routes(mux)
}

type unchecked struct{}

func (unchecked) Verify(string, string, []byte) error { return nil }
