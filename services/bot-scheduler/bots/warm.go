// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/services/bot-scheduler/keeper"
)

// pool keeps workers of one agent warm: bots under their keepers that wait for a job. Each is taken once.
type pool struct {
	size  int
	log   *slog.Logger
	begin func() (*keeper.Process, error)
	waits prometheus.Gauge

	mu    sync.Mutex
	ready []*worker // who has been ready for longest comes first
}

type worker struct {
	*keeper.Process
	taken chan struct{}
}

// take gives a worker that is ready, or nil.
func (p *pool) take() *keeper.Process {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) == 0 {
		return nil
	}
	w := p.ready[0]
	p.ready = p.ready[1:]
	p.waits.Set(float64(len(p.ready)))
	close(w.taken)
	return w.Process
}

// run keeps the pool full until the context ends, and then ends those who wait. As many get ready at once as there is
// room for in warming.
func (p *pool) run(ctx context.Context, warming chan struct{}) error {
	var group errgroup.Group
	for range p.size {
		group.Go(func() error { p.keepOne(ctx, warming); return nil })
	}
	return group.Wait()
}

// keepOne has a worker wait, and when it has been taken, the next. One that dies waiting is replaced after a pause, which
// grows while they die.
func (p *pool) keepOne(ctx context.Context, warming chan struct{}) {
	pauses := backoff.NewExponentialBackOff()
	for ctx.Err() == nil {
		if p.one(ctx, warming) {
			pauses.Reset()
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pauses.NextBackOff()):
		}
	}
}

// one has one worker wait, and reports whether it was taken.
func (p *pool) one(ctx context.Context, warming chan struct{}) bool {
	select {
	case warming <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	warm := sync.OnceFunc(func() { <-warming })
	defer warm()
	k, err := p.begin()
	if err != nil {
		p.log.Warn("start a warm bot", "err", err)
		return false
	}
	w, ready := &worker{k, make(chan struct{})}, k.Ready
	for {
		select {
		case <-ready:
			ready = nil
			warm()
			p.offer(w)
		case <-w.taken:
			return true
		case <-w.Exited:
			if p.withdraw(w) {
				_ = w.Dismiss() // it has gone
				p.log.Warn("a warm bot has died while it waited")
			}
			return false
		case <-ctx.Done():
			if p.withdraw(w) {
				_ = w.Dismiss() // it ends of it
				<-w.Exited
			}
			return false
		}
	}
}

func (p *pool) offer(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = append(p.ready, w)
	p.waits.Set(float64(len(p.ready)))
}

// withdraw reports whether the worker was still there for us to end.
func (p *pool) withdraw(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = slices.DeleteFunc(p.ready, func(other *worker) bool { return other == w })
	p.waits.Set(float64(len(p.ready)))
	select {
	case <-w.taken:
		return false
	default:
		return true
	}
}
