// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 15 * time.Second // of a whole request, header and body
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second
)

// Listen opens the listener of what is called name, unless the process was started with one.
func (e *Env) Listen(ctx context.Context, name, addr string) (net.Listener, error) {
	if l := e.listeners[name]; l != nil {
		return l, nil
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	return l, nil
}

// HTTP serves a handler until the context ends, then lets the requests under way finish. HTTP/2 without TLS is spoken
// too, as gRPC needs it.
func (e *Env) HTTP(ctx context.Context, name, addr string, h http.Handler) error {
	l, err := e.Listen(ctx, name, addr)
	if err != nil {
		return err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:           otelhttp.NewHandler(e.http.count(name, h), name),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, Protocols: &protocols,
	}
	e.Log.Debug("listening", "what", name, "addr", l.Addr().String())
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	if err := <-stopped; err != nil {
		return server.Close()
	}
	return nil
}

// Refuse answers a request with an error in the form that Daily uses: a stable word, and a text for people.
func Refuse(w http.ResponseWriter, status int, word, info string) {
	Answer(w, status, map[string]string{"error": word, "info": info})
}

// Answer answers a request with JSON.
func Answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone cannot be told
}

// Routes serves a mux that refuses unknown paths and methods as Refuse does, and not with a line of text.
func Routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = refusal{w}
		}
		mux.ServeHTTP(w, r)
	})
}

// refusal has its own words for a status, and drops those that it is given.
type refusal struct{ http.ResponseWriter }

func (w refusal) WriteHeader(status int) {
	switch status {
	case http.StatusNotFound:
		Refuse(w.ResponseWriter, status, "not-found", "nothing is served on this path")
	case http.StatusMethodNotAllowed:
		Refuse(w.ResponseWriter, status, "method-not-allowed", "this path takes "+w.Header().Get("Allow"))
	default: // a redirect has no body
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w refusal) Write(text []byte) (int, error) { return len(text), nil }

type httpMetrics struct{ requests *prometheus.HistogramVec }

func newHTTPMetrics(reg prometheus.Registerer) *httpMetrics {
	m := &httpMetrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "trunkline_http_request_seconds", Help: "Time to answer an HTTP request.", Buckets: prometheus.ExponentialBuckets(.001, 3, 10),
	}, []string{"server", "status"})}
	reg.MustRegister(m.requests)
	return m
}

func (m *httpMetrics) count(server string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, status := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(status, r)
		m.requests.WithLabelValues(server, strconv.Itoa(status.status)).Observe(time.Since(start).Seconds())
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController, and so streams, through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush lets those through that ask for a Flusher.
func (w *statusWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
