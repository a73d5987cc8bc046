// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// AckWait is how long a message stays with a process that no longer answers for it. Processes renew it while they
// work, so a crash holds nobody for longer than this.
const AckWait = 3 * time.Second

const (
	maxErrors  = 12               // failures after which a message is a dead letter
	maxBackoff = 30 * time.Second // the longest pause between two tries
	poolSize   = 64               // handlers at work at once, per consumer
	stopGrace  = 10 * time.Second // how long handlers may finish after the context's end

	// heartbeat is how often NATS says of a consumer that it is there but has nothing. What has asked for messages is known
	// to the server alone that leads the consumer, and is forgotten with it: two heartbeats later they are asked for again.
	heartbeat = time.Second
)

// Work delivers a durable consumer's messages to a handler until the context ends; then it waits for the handlers at
// work. What the handler returns decides what becomes of the message, as the package comment says. The name is the
// handler's in metrics and logs.
func (b *Bus) Work(ctx context.Context, stream, consumer, name string, handle func(context.Context, jetstream.Msg) error) error {
	cons, err := b.JS.Consumer(ctx, stream, consumer)
	if err != nil {
		return fmt.Errorf("consumer %s of %s: %w", consumer, stream, err)
	}
	b.Metrics.begin(b.Service)
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	w := &worker{
		bus: b, name: name, handle: handle, life: life,
		slots: make(chan struct{}, poolSize), busy: map[uint64]jetstream.Msg{}, failures: map[uint64]int{},
	}
	renewal := time.NewTicker(AckWait / 3)
	defer renewal.Stop()

	failed := make(chan error, 1)
	consume, err := cons.Consume(w.take, jetstream.PullMaxMessages(2*poolSize), jetstream.PullHeartbeat(heartbeat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			switch {
			case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, nats.ErrPermissionViolation):
				select {
				case failed <- fmt.Errorf("consumer %s of %s: %w", consumer, stream, err):
				default:
				}
			default:
				b.Log.Debug("consume", "consumer", consumer, "err", err)
			}
		}))
	if err != nil {
		return fmt.Errorf("consume %s of %s: %w", consumer, stream, err)
	}
	for {
		select {
		case <-renewal.C:
			w.renew()
		case err := <-failed:
			consume.Stop()
			return err
		case <-ctx.Done():
			consume.Stop()
			return w.finish(end)
		}
	}
}

// firstBackoff is the pause after the first failure; each further one doubles it.
var firstBackoff = 100 * time.Millisecond

type worker struct {
	bus    *Bus
	name   string
	handle func(context.Context, jetstream.Msg) error
	life   context.Context
	slots  chan struct{}
	group  sync.WaitGroup

	mu       sync.Mutex
	busy     map[uint64]jetstream.Msg // by stream sequence: delivered and not yet settled
	failures map[uint64]int           // by stream sequence; a restart forgets them
	stopped  bool                     // no handler is started any more
}

// take starts a handler for a message. It never blocks, so that no message grows old in the client unrenewed.
func (w *worker) take(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	w.bus.Metrics.delivered(w.bus.Service, meta.NumDelivered)
	seq := meta.Sequence.Stream
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped { // one that was on its way: it comes again after AckWait
		return
	}
	_, again := w.busy[seq]
	w.busy[seq] = msg // acknowledge by the latest delivery
	if again {
		return
	}
	w.group.Go(func() {
		select {
		case w.slots <- struct{}{}:
			defer func() { <-w.slots }()
		case <-w.life.Done():
			return
		}
		start := time.Now()
		err := w.run(msg)
		w.settle(seq, err, time.Since(start))
	})
}

func (w *worker) run(msg jetstream.Msg) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	ctx, span := startSpan(w.life, w.bus.Service, msg.Subject(), msg.Headers())
	defer span.End()
	err = w.handle(ctx, msg)
	if err != nil {
		span.RecordError(err)
	}
	return err
}

func (w *worker) settle(seq uint64, err error, took time.Duration) {
	w.mu.Lock()
	msg := w.busy[seq]
	delete(w.busy, seq)
	var retry retryError
	var drop dropError
	failures := 0
	switch {
	case err == nil, errors.As(err, &drop):
		delete(w.failures, seq)
	case errors.As(err, &retry):
	case w.life.Err() != nil: // stopped in the middle: no failure of the message's
	default:
		w.failures[seq]++
		failures = w.failures[seq]
	}
	w.mu.Unlock()

	result := "done"
	log := func(level slog.Level, what string, args ...any) {
		w.bus.Log.Log(w.life, level, what, append(args, "subject", msg.Subject())...)
	}
	var acked error
	switch {
	case err == nil:
		acked = msg.Ack()
	case errors.As(err, &drop):
		result = "dropped"
		log(slog.LevelWarn, "dropped", "err", drop.err)
		acked = msg.TermWithReason(drop.Error())
	case errors.As(err, &retry):
		result = "again"
		log(slog.LevelDebug, "again", "after", retry.after, "err", retry.err)
		acked = msg.NakWithDelay(min(retry.after, maxBackoff))
	case failures >= maxErrors:
		result = "dead"
		log(slog.LevelError, "moved to the dead letters", "err", err, "tries", failures)
		acked = w.bus.bury(w.life, msg, err)
	default:
		result = "failed"
		delay := min(firstBackoff<<max(failures-1, 0), maxBackoff)
		log(slog.LevelWarn, "failed, will be tried again", "err", err, "after", delay)
		acked = msg.NakWithDelay(delay)
	}
	if acked != nil { // it comes again after AckWait
		log(slog.LevelDebug, "acknowledge", "err", acked)
	}
	w.bus.Metrics.handled(w.bus.Service, w.name, result, took)
}

func (w *worker) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, msg := range w.busy {
		if err := msg.InProgress(); err != nil {
			return // no connection: nothing can be renewed
		}
	}
}

// finish waits for the handlers at work, renewing their messages, and interrupts them when the grace is over.
func (w *worker) finish(end context.CancelFunc) error {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() { w.group.Wait(); close(done) }()
	renewal := time.NewTicker(AckWait / 3)
	defer renewal.Stop()
	grace := time.After(stopGrace)
	for {
		select {
		case <-done:
			return nil
		case <-renewal.C:
			w.renew()
		case <-grace:
			end()
			<-done
			return nil
		}
	}
}
