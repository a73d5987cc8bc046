// SPDX-License-Identifier: Apache-2.0

// Package keeper is the small process that every process bot runs under. It renews the lease of the bot's slot, reports
// the bot's exit, and stops the bot before a lease that it cannot renew runs out. So a slot is never free while its bot
// lives, and a call goes on when bot-scheduler dies.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

const (
	// killMargin is how long before its lease runs out a bot is killed. The time for the kill to work is part of it.
	killMargin = time.Second
	// reportFor is how long a bot's exit is tried to be reported. After that bot-scheduler finds the lease run out.
	reportFor = time.Minute
	// callTimeout bounds one request to NATS, and renewAgain is when a renewal that failed is tried again, so that a
	// broker that comes back within the lease is in time.
	callTimeout = 2 * time.Second
	renewAgain  = 500 * time.Millisecond
	// renewals is how often a lease is renewed in its time. The more often, the more of it is left for a cluster to elect
	// another leader, which takes up to 9 s: with the default lease of 15 s there are 10 s.
	renewals = 4
	// pongTimeout is how long a server that did not answer a renewal has to show that it is there. Then another is sought.
	pongTimeout = 500 * time.Millisecond

	toldToStop = "the keeper was told to stop"
	tooLong    = "its max_runtime is over"
)

// keeper keeps one bot.
type keeper struct {
	spec  Spec
	order Order
	log   *slog.Logger
	nc    *nats.Conn
	bus   *bus.Bus
	slots *slots.Slots
	lease slots.Lease
	until time.Time // the lease holds at least until then

	unseen bool // nobody was seen to hold the slot at the last look

	bot     *bot
	stopped string // why the bot was told to go
}

// visitor is who has started the keeper.
type visitor struct {
	order func() (Order, error)
	ready func() // told once, when a warm bot can take its order
}

func run(spec Spec, who visitor, log *slog.Logger) error {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	// Whoever reads our log may go before us. Caught and not ignored, for what is ignored the bot would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	cfg := config.Default()
	cfg.NATS = spec.NATS
	// What is refused is logged: a bot in a call goes on until its lease ends.
	nc, err := app.Connect(cfg, config.Secrets{NATSNKey: config.Secret(spec.NKey)}, "bot-scheduler", log, func(error) {})
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	k := &keeper{spec: spec, log: log, nc: nc}
	if spec.Warm {
		k.order, err = k.await(who, terminate)
	} else {
		k.order, err = who.order()
	}
	if errors.Is(err, errUnused) {
		return nil
	}
	if err != nil {
		log.Error("keeper", "err", err)
		return err
	}
	holder := k.order.Lease.Holder
	k.log = log.With("call_id", holder.CallID, "attempt", holder.Attempt)
	k.bus = bus.New("bot-scheduler", js, k.log, nil)
	k.lease, k.until = k.order.Lease, time.Now().Add(k.order.Lease.TTL)
	k.lease.TTL = spec.TTL
	if err := k.serve(js, terminate); err != nil {
		k.log.Error("keeper", "err", err)
		return err
	}
	return nil
}

// serve takes the slot over and keeps the bot.
func (k *keeper) serve(js jetstream.JetStream, terminate <-chan os.Signal) error {
	told := make(chan *nats.Msg, 1)
	_, err := k.nc.ChanSubscribe(slots.StopSubject(k.lease.Holder.CallID, k.lease.Holder.Attempt), told)
	if err == nil {
		err = k.takeOver(js)
	}
	if err != nil {
		if k.bot != nil {
			k.bot.end()
		}
		return fmt.Errorf("the bot is not started: %w", err)
	}
	return k.keep(told, terminate)
}

// keep starts the bot, or gives the warm one its job, and watches over it until it is gone. It never waits for NATS: a
// client that looks for a server does not heed a deadline, and the bot must be gone before its lease is.
func (k *keeper) keep(told <-chan *nats.Msg, terminate <-chan os.Signal) error {
	if k.bot == nil {
		var err error
		if k.bot, err = startBot(k.spec); err != nil {
			return k.report(-1, "not started: "+err.Error())
		}
	}
	k.bot.give(k.order.Job)
	started := make(chan struct{})
	go func() {
		defer close(started)
		k.publishStarted()
	}()
	checks, checking, another := make(chan checked, 1), false, false
	check := func() {
		if another = checking; !checking {
			checking = true
			go func(until time.Time) { checks <- k.check(until) }(k.until)
		}
	}
	renewal := time.NewTimer(k.spec.TTL / renewals)
	defer renewal.Stop()
	var over <-chan time.Time
	if k.spec.MaxRuntime > 0 {
		over = time.After(k.spec.MaxRuntime)
	}
	for {
		last := time.NewTimer(time.Until(k.until) - killMargin)
		select {
		case <-k.bot.exited:
			<-started
			if checking { // the lease is the check's
				<-checks
			}
			status, reason := k.bot.result(k.stopped)
			if status == 0 && (k.stopped == toldToStop && k.spec.Handover || k.stopped == tooLong) {
				status = -1 // so that another takes its place
			}
			return k.report(status, reason)
		case <-renewal.C:
			check()
		case <-told:
			check()
		case found := <-checks:
			checking = false
			renewal.Reset(k.heed(found))
			if another {
				check()
			}
		case <-over:
			k.stop(slots.Stop{Reason: tooLong})
		case <-terminate:
			k.stop(slots.Stop{Reason: toldToStop})
		case <-last.C:
			k.log.Error("the lease cannot be renewed: the bot is killed")
			k.stopped = "the lease could not be renewed"
			k.bot.kill()
			<-k.bot.exited
			k.until = time.Now().Add(reportFor) // nothing is left to be kept by the lease
		}
		last.Stop()
	}
}

// heed does what a check has found to be necessary, and says when to check again.
func (k *keeper) heed(found checked) (again time.Duration) {
	if !found.until.IsZero() {
		k.until = found.until
	}
	if found.stop != nil {
		k.stop(*found.stop)
	}
	if found.lost {
		k.log.Error("the slot is somebody else's: the bot is killed")
		k.stopped = "the lease was lost"
		k.bot.kill()
	}
	return found.again
}

// stop lets the bot go on for the linger, then asks it to end, then kills it.
func (k *keeper) stop(s slots.Stop) {
	if k.stopped == "" {
		k.stopped = s.Reason
	}
	k.bot.stop(s.Linger, k.spec.KillGrace)
}

func (k *keeper) publishStarted() {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	ctx, cancel := context.WithTimeout(k.order.context(), callTimeout)
	defer cancel()
	holder := k.order.Lease.Holder
	started := &callv1.BotStarted{Attempt: holder.Attempt, Handle: fmt.Sprintf("%s/%d", host, k.bot.cmd.Process.Pid)}
	if _, err := k.bus.Publish(ctx, holder.CallID, started); err != nil {
		k.log.Warn("report the start", "err", err) // told for the record alone: nothing waits for it
	}
}

// report tells that the bot is gone, and then gives the slot back.
func (k *keeper) report(status int, reason string) error {
	ctx, cancel := context.WithTimeout(k.order.context(), reportFor)
	defer cancel()
	exited := &callv1.BotExited{Attempt: k.lease.Holder.Attempt, Status: int32(status), Reason: reason}
	for {
		err := k.publish(ctx, exited)
		if err == nil || errors.Is(err, bus.ErrTaken) {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("report the exit: %w", err)
		}
		k.log.Warn("report the exit", "err", err)
		k.hold()
		time.Sleep(100 * time.Millisecond)
	}
	for {
		err := k.release(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !errors.Is(err, slots.ErrLost) {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		// Somebody wrote to it, to have the bot stopped that is gone.
		now, err := k.slots.Look(ctx, k.lease.Key)
		if err != nil || now == nil || !now.Holder.Same(k.lease.Holder) {
			return err
		}
		if now.Revision <= k.lease.Revision { // a replica that lags behind
			time.Sleep(100 * time.Millisecond)
			continue
		}
		k.lease.Revision = now.Revision
	}
}

// publish waits for an answer for a while only: it may have been lost with the broker.
func (k *keeper) publish(ctx context.Context, exited *callv1.BotExited) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := k.bus.Publish(ctx, k.lease.Holder.CallID, exited)
	return err
}

// release waits for an answer for a while only, too.
func (k *keeper) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return k.slots.Release(ctx, &k.lease)
}
