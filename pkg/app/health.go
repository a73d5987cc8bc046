// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness is whether one service can do its work.
type Readiness struct {
	mu     sync.Mutex
	reason string
	nats   *nats.Conn
}

// Yes says that the service can do its work.
func (r *Readiness) Yes() { r.set("") }

// No says why it cannot.
func (r *Readiness) No(reason string) { r.set(reason) }

func (r *Readiness) set(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = reason
}

// why is empty when the service can do its work.
func (r *Readiness) why() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason == "" && !r.nats.IsConnected() {
		return "NATS is away"
	}
	return r.reason
}

type readinesses struct {
	mu sync.Mutex
	by map[string]*Readiness
}

func newReadiness() *readinesses { return &readinesses{by: map[string]*Readiness{}} }

func (rs *readinesses) of(service string, nc *nats.Conn) *Readiness {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := &Readiness{reason: "starting", nats: nc}
	rs.by[service] = r
	return r
}

// adminMux serves what operators and orchestrators ask every process. drain may be nil: nothing here has work to finish.
func adminMux(registry *prometheus.Registry, ready *readinesses, drain http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	if drain != nil {
		mux.Handle("POST /drain", drain)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		Answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status, services := http.StatusOK, map[string]string{}
		ready.mu.Lock()
		defer ready.mu.Unlock()
		for name, r := range ready.by {
			services[name] = "ready"
			if why := r.why(); why != "" {
				status, services[name] = http.StatusServiceUnavailable, why
			}
		}
		Answer(w, status, map[string]any{"services": services})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
