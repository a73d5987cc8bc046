// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
)

// process is services that run as in a process of their own.
type process struct {
	t     *testing.T
	admin string             // URL
	doors map[string]string  // URL by name
	end   context.CancelFunc // asks the process to stop
	done  chan struct{}      // closed when it has
	err   error              // of Run, once done
}

// run starts services with doors of these names.
func run(t *testing.T, url string, doors []string, services ...app.Service) *process {
	t.Helper()
	cfg := config.Default()
	cfg.NATS.URL = url
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, doors: map[string]string{}, end: cancel, done: make(chan struct{})}
	listeners := map[string]net.Listener{}
	for _, name := range append([]string{"admin"}, doors...) {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[name], p.doors[name] = l, "http://"+l.Addr().String()
	}
	p.admin = p.doors["admin"]
	go func() {
		defer close(p.done)
		p.err = app.Run(ctx, app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Listeners: listeners}, services...)
	}()
	t.Cleanup(func() { cancel(); <-p.done })
	return p
}

// stop ends the process and gives what Run has returned.
func (p *process) stop() error {
	p.end()
	<-p.done
	return p.err
}

// get asks and gives status and body; the status is 0 when nobody answers.
func (p *process) get(url string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Error(err)
	}
	return res.StatusCode, string(data)
}

// eventually asks until something holds, for ten seconds at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	step := time.NewTicker(5 * time.Millisecond)
	defer step.Stop()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-step.C {
		if time.Now().After(deadline) {
			t.Fatalf("not true in time: %s", what)
		}
	}
}

// idle is a service that does nothing until it is told to end. It hands its environment out.
func idle(name string) (s app.Service, env chan *app.Env) {
	env = make(chan *app.Env, 1)
	return app.Service{Name: name, Serve: func(ctx context.Context, e *app.Env) error {
		env <- e
		<-ctx.Done()
		return nil
	}}, env
}

// gate is a handler that answers when it is opened.
type gate struct {
	entered, open chan struct{}
	once          sync.Once
}

func newGate() *gate { return &gate{entered: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	g.once.Do(func() { close(g.entered) })
	<-g.open
	app.Answer(w, http.StatusOK, map[string]string{"status": "finished"})
}
