// SPDX-License-Identifier: Apache-2.0

// Package remotetest is what the servers have in common that stand in for places where bots run.
package remotetest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
)

// Fault is an answer to a start that is not the usual one.
type Fault struct {
	Status int
	Body   string
	Acts   bool // a bot is started all the same
	Drops  bool // the connection breaks in place of an answer
	// Holds keeps the answer back until it is closed.
	Holds <-chan struct{}
}

// Hall is where a server's bots live.
type Hall struct {
	// Run is a bot: it lives until it returns, with its exit status.
	Run func(ctx context.Context, j remote.Job) int

	mu      sync.Mutex
	faults  []Fault
	live    int
	started []remote.Job
	stops   []context.CancelFunc
	bots    sync.WaitGroup
}

// Fail has the next starts go wrong, one after the other.
func (h *Hall) Fail(faults ...Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, faults...)
}

// Failing takes the next fault, or gives nil.
func (h *Hall) Failing() *Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.faults) == 0 {
		return nil
	}
	f := h.faults[0]
	h.faults = h.faults[1:]
	return &f
}

// Live counts the bots that live.
func (h *Hall) Live() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live
}

// Wait waits until so many bots live.
func (h *Hall) Wait(n int) {
	for h.Live() != n {
		time.Sleep(5 * time.Millisecond)
	}
}

// Started gives the jobs of all bots that have been started.
func (h *Hall) Started() []remote.Job {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]remote.Job(nil), h.started...)
}

// Bot is one that lives, or has.
type Bot struct {
	Stop   context.CancelFunc
	Done   <-chan struct{}
	Status int // once it is done
}

// Begin starts a bot.
func (h *Hall) Begin(j remote.Job) *Bot {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	b := &Bot{Stop: stop, Done: done}
	h.mu.Lock()
	h.live++
	h.started = append(h.started, j)
	h.stops = append(h.stops, stop)
	h.mu.Unlock()
	h.bots.Go(func() {
		defer close(done)
		defer stop()
		b.Status = h.Run(ctx, j)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.live--
	})
	return b
}

// End ends all bots.
func (h *Hall) End() {
	h.mu.Lock()
	for _, stop := range h.stops {
		stop()
	}
	h.mu.Unlock()
	h.bots.Wait()
}

// Answer answers with a fault.
func (f *Fault) Answer(w http.ResponseWriter) {
	if f.Holds != nil {
		<-f.Holds
	}
	if f.Drops {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

// FromBody is the job of a bot that takes its room from the body, with the one line that Trunkline's helper has for it.
func FromBody(body json.RawMessage) remote.Job {
	j := remote.Job{Body: body}
	_ = json.Unmarshal(body, &j) // what is no job has no room
	j.Body = body
	return j
}
