// SPDX-License-Identifier: Apache-2.0

// Package keeper is the small process that every process bot runs under. It renews the lease of the bot's slot, reports
// the bot's exit, and stops the bot before a lease that it cannot renew runs out. So a slot is never free while its bot
// lives, and a call goes on when bot-scheduler dies.
package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/guard"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

const (
	askedBy = "TRUNKLINE_KEEPER" // set for a process that is to be a keeper

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
)

// Spec is what a keeper is started with, on its standard input: it holds secrets.
type Spec struct {
	NATS      config.NATS     `json:"nats"`
	NKey      string          `json:"nkey"`
	Log       config.Log      `json:"log"`
	Lease     slots.Lease     `json:"lease"` // as the scheduler has taken it
	TTL       time.Duration   `json:"ttl"`   // of the renewals
	Argv      []string        `json:"argv"`
	Dir       string          `json:"dir"`
	Env       []string        `json:"env"`
	Job       json.RawMessage `json:"job"` // for the bot's standard input
	KillGrace time.Duration   `json:"kill_grace"`
	Cause     string          `json:"cause"` // the intent that led to this
	Trace     bus.Trace       `json:"trace,omitempty"`
	// Handover is set where a call outlives its keeper: a bot that is ended with it does not end its call.
	Handover bool `json:"handover"`
}

// context is what the keeper reports with.
func (s Spec) context() context.Context {
	return bus.WithTrace(bus.WithCause(context.Background(), s.Cause), s.Trace)
}

// Start starts a keeper, in an environment without secrets: the bot can read it. It lives on when this process dies. The channel is closed when it has exited.
func Start(self string, env []string, spec Spec) (pid int, exited <-chan struct{}, err error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return 0, nil, err
	}
	r, w, err := os.Pipe() // the kernel holds what does not outgrow a pipe: no goroutine has to live for it
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	cmd := exec.Command(self) //nolint:noctx // it outlives us
	cmd.Env = slices.Concat(env, guard.Env(), []string{askedBy + "=1"})
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of a terminal's Ctrl-C
	if err := cmd.Start(); err != nil {
		w.Close()
		return 0, nil, fmt.Errorf("start keeper: %w", err)
	}
	go func() {
		defer w.Close()
		_, _ = w.Write(data) // a keeper that dies of it is seen by its exit
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // its exit says nothing that the bus does not say better
	}()
	return cmd.Process.Pid, done, nil
}

// RunIfAsked makes this process a keeper and exits, if it was started as one. It must be the first thing in main.
func RunIfAsked() {
	if os.Getenv(askedBy) == "" {
		return
	}
	// The bot is tied to the thread that starts it (PR_SET_PDEATHSIG): that must be one that lives as long as we do.
	runtime.LockOSThread()
	var spec Spec
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		fmt.Fprintln(os.Stderr, "keeper:", err)
		os.Exit(1)
	}
	log := app.NewLog(os.Stderr, spec.Log).With("service", "keeper", "call_id", spec.Lease.Holder.CallID, "attempt", spec.Lease.Holder.Attempt)
	if err := run(spec, log); err != nil {
		log.Error("keeper", "err", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// keeper keeps one bot.
type keeper struct {
	spec  Spec
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

func run(spec Spec, log *slog.Logger) error {
	began := time.Now()
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
	k := &keeper{spec: spec, log: log, nc: nc, bus: bus.New("bot-scheduler", js, log, nil), lease: spec.Lease, until: began.Add(spec.Lease.TTL)}
	k.lease.TTL = spec.TTL
	told := make(chan *nats.Msg, 1)
	if _, err := nc.ChanSubscribe(slots.StopSubject(k.lease.Holder.CallID, k.lease.Holder.Attempt), told); err != nil {
		return err
	}
	if err := k.takeOver(js); err != nil {
		return fmt.Errorf("the bot is not started: %w", err)
	}
	return k.keep(told, terminate)
}

// keep starts the bot and watches over it until it is gone. It never waits for NATS: a client that looks for a server does
// not heed a deadline, and the bot must be gone before its lease is.
func (k *keeper) keep(told <-chan *nats.Msg, terminate <-chan os.Signal) error {
	var err error
	if k.bot, err = startBot(k.spec); err != nil {
		return k.report(-1, "not started: "+err.Error())
	}
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
	for {
		last := time.NewTimer(time.Until(k.until) - killMargin)
		select {
		case <-k.bot.exited:
			<-started
			if checking { // the lease is the check's
				<-checks
			}
			status, reason := k.bot.result(k.stopped)
			if status == 0 && k.stopped == toldToStop && k.spec.Handover {
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
	ctx, cancel := context.WithTimeout(k.spec.context(), callTimeout)
	defer cancel()
	holder := k.spec.Lease.Holder
	started := &callv1.BotStarted{Attempt: holder.Attempt, Handle: fmt.Sprintf("%s/%d", host, k.bot.cmd.Process.Pid)}
	if _, err := k.bus.Publish(ctx, holder.CallID, started); err != nil {
		k.log.Warn("report the start", "err", err) // told for the record alone: nothing waits for it
	}
}

// report tells that the bot is gone, and then gives the slot back.
func (k *keeper) report(status int, reason string) error {
	ctx, cancel := context.WithTimeout(k.spec.context(), reportFor)
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
