// SPDX-License-Identifier: Apache-2.0

// Package sim is Daily in a box: the REST API, the phones, the webhooks and the rooms of one Daily domain,
// with its errors, its budgets, its lags and, on demand, its bad days. It tells no more than Daily tells;
// what only the simulator knows is behind /sim/.
package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Sim is one simulated Daily domain.
type Sim struct {
	cfg     Config
	mux     *http.ServeMux
	tasks   *tasks
	client  *http.Client
	running atomic.Bool
	ended   chan struct{} // closed when Run has ended

	mu           sync.Mutex // guards all below
	changed      chan struct{}
	rand         *rand.Rand
	budgets      map[string]*window
	faults       Faults
	held         map[string]*heldBack
	domain       map[string]any
	rooms        map[string]*room
	doors        map[string]door // SIP endpoint -> room
	sessions     map[*session]struct{}
	meetings     []*meeting
	present      []*attendance
	configs      []*dialinConfig
	bought       []*phoneNumber
	calls        map[string]*call
	order        []*call
	callees      []*callee
	dials        map[string]*dial
	dialOrder    []*dial
	dialled      map[string]int // how often each number was called
	transfers    []*transfer
	said         log[Said]
	hub          *hub
	requests     log[Request]
	sent         log[Delivery]
	counts       map[string]map[int]int
	maxBots      int
	maxStayed    int
	lastID       uint64
	lastTransfer int
	lastMs       int64
}

// New makes a domain; it panics on a config that Validate refuses.
func New(cfg Config) *Sim {
	if err := cfg.Validate(); err != nil {
		panic(fmt.Sprintf("sim.New: %v", err))
	}
	s := &Sim{
		cfg:      cfg,
		tasks:    newTasks(),
		client:   &http.Client{Transport: newTransport(), CheckRedirect: noRedirect},
		ended:    make(chan struct{}),
		changed:  make(chan struct{}),
		rand:     rand.New(rand.NewSource(cfg.Seed)),
		budgets:  newBudgets(cfg.Budgets),
		held:     map[string]*heldBack{},
		domain:   map[string]any{},
		rooms:    map[string]*room{},
		doors:    map[string]door{},
		sessions: map[*session]struct{}{},
		calls:    map[string]*call{},
		callees:  newCallees(cfg.Dialout.Callees),
		dials:    map[string]*dial{},
		dialled:  map[string]int{},
		counts:   map[string]map[int]int{},
		requests: log[Request]{max: cfg.History},
		sent:     log[Delivery]{max: cfg.History},
		said:     log[Said]{max: cfg.History},
	}
	s.faults = cfg.Faults.fresh()
	s.presetNumbers()
	s.presetWebhook()
	s.mux = s.routes()
	return s
}

// Handler serves REST, the join protocol and the control API on one mux. Nothing happens by itself before Run.
func (s *Sim) Handler() http.Handler { return s.mux }

// Run owns all that happens without a request: webhook deliveries, holds, expiries. It returns nil when
// ctx has ended and all of that is finished; joined participants are out by then. It runs once.
func (s *Sim) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return errors.New("sim: Run was called twice")
	}
	s.tasks.run(ctx)
	close(s.ended)
	s.client.CloseIdleConnections()
	return nil
}

// WaitFor returns when cond is true; it looks again whenever something has changed.
func (s *Sim) WaitFor(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return errors.New("sim: ended")
		}
	}
}

// touch wakes who waits in WaitFor; mu is held.
func (s *Sim) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// sleep waits d, unless ctx or the simulator ends first.
func (s *Sim) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return errors.New("sim: ended")
	}
}

// publicURL is the base of room URLs as the client of r sees it.
func (s *Sim) publicURL(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return strings.TrimRight(s.cfg.PublicURL, "/")
	}
	return "http://" + r.Host + "/daily"
}

// joinPath is where room URLs lead to on this server.
func (s *Sim) joinPath() string {
	if u, err := url.Parse(s.cfg.PublicURL); err == nil && s.cfg.PublicURL != "" {
		return strings.TrimRight(u.Path, "/")
	}
	return "/daily"
}

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConnsPerHost = 64
	return t
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
