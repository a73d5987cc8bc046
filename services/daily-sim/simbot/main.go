// SPDX-License-Identifier: Apache-2.0

// Package simbot is a bot for the Daily simulator: it does on the wire what stock Pipecat bots for dial-in and dial-out
// do, and, by flags, what one should not.
package simbot

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// warm is set for a bot that is started before there is a job for it, as docs/bots.md says.
const warm = "TRUNKLINE_WARM"

// Main runs the bot with one job from stdin and returns its exit status: 0 for a call that ended in any
// regular way, 1 for a bot that died, 2 for bad flags or a bad job.
func Main(ctx context.Context, stdin io.Reader, args []string) int {
	v, err := parse(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if os.Getenv(warm) != "" { // the job comes later
		fmt.Println(`{"ready":true}`)
	}
	j, err := readJob(stdin)
	if err != nil {
		say("%v", err)
		return 2
	}
	ctx, stop := untilSIGTERM(ctx, v.ignoreSIGTERM)
	defer stop()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	b := &bot{job: j, vices: v, client: &http.Client{Transport: transport}, there: make(chan struct{})}
	return b.run(ctx)
}

type bot struct {
	job      job
	vices    vices
	client   *http.Client
	session  string // the bot's own in the room
	leg      string // of the phone that the bot is there for, empty until one is known
	dialouts []*dialout
	met      bool            // somebody is there to talk to
	there    chan struct{}   // closed with it
	leave    <-chan struct{} // the caller has been handed over, and the bot is to go
}

func (b *bot) run(ctx context.Context) int {
	if b.vices.leaveChild {
		leaveChild()
	}
	if b.vices.neverJoin {
		say("not joining")
		<-ctx.Done()
		return 0
	}
	if !pause(ctx, b.vices.joinDelay) {
		return 0
	}
	if b.job.Body.Trunkline.Attempt <= b.vices.standStill {
		standStill()
	}
	rm, err := join(ctx, b.client, b.job)
	if err != nil {
		if ctx.Err() != nil {
			return 0
		}
		say("%v", err)
		return 1
	}
	defer rm.close()
	if n := b.vices.dieBeforeReady; n > 0 && b.job.Body.Trunkline.Attempt <= n {
		say("dying before ready")
		return 1
	}
	return b.stay(ctx, rm)
}

// stay lives in the room until something ends it.
func (b *bot) stay(ctx context.Context, rm *room) int {
	var leave, die <-chan time.Time
	if d := b.vices.leaveAfter; d > 0 {
		leave = time.After(d)
	}
	ended := func() {}
	defer func() { ended() }()
	for {
		select {
		case e, ok := <-rm.events:
			if !ok {
				say("the room is gone")
				return 0
			}
			switch e.Event {
			case "joined":
				b.session = e.SessionID
				b.find(e.Participants)
				b.startDialling(ctx)
				ended = b.startTransfers(ctx)
			case "dialin-connected", "dialout-connected":
				b.meet(e)
			case "dialin-ready":
				if b.ready(ctx, e.SIPEndpoint) && b.vices.dieAfter > 0 {
					die = time.After(b.vices.dieAfter)
				}
			case "dialout-answered":
				b.meet(e)
				b.dialoutAnswered(e.Leg)
			case "sim-heard":
				say("heard a %s", e.Who)
				if e.Who == "machine" && b.vices.voicemail {
					if err := tell(ctx, b.client, b.job, "voicemail"); err != nil {
						say("%v", err)
					}
					return 0
				}
			case "dialout-error":
				b.forget(e.Leg)
				if !b.dialoutFailed(ctx, e.Leg) {
					say("no more dials")
					return 0
				}
			case "dialin-stopped", "dialout-stopped":
				if b.vices.outstay || !b.mine(e) {
					continue
				}
				say("%s", e.Event)
				return 0
			case "ejected", "room-ended":
				say("%s", e.Event)
				return 0
			}
		case <-leave:
			say("leaving")
			return 0
		case <-b.leave:
			say("the caller is handed over")
			return 0
		case <-die:
			say("dying after the forward")
			return 1
		case <-ctx.Done():
			return 0
		}
	}
}

// ready does what DailyTransport does on dialin-ready; it tells whether a caller was forwarded. A refusal
// is logged and the bot stays, as a stock bot does.
func (b *bot) ready(ctx context.Context, sipURI string) bool {
	if !b.job.asks() || b.vices.neverAsk {
		return false
	}
	callID := b.job.Body.DialinSettings.CallID
	if b.vices.askForCall != "" {
		callID = b.vices.askForCall
	}
	times := 1
	if b.vices.askTwice {
		times = 2
	}
	forwarded := false
	for range times {
		if err := ask(ctx, b.client, b.job, callID, sipURI); err != nil {
			say("%v", err)
			continue
		}
		forwarded = true
	}
	return forwarded
}

// untilSIGTERM ends the context at SIGTERM or SIGINT, or swallows SIGTERM.
func untilSIGTERM(ctx context.Context, ignore bool) (context.Context, context.CancelFunc) {
	if !ignore {
		return signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	}
	swallowed := make(chan os.Signal, 1)
	signal.Notify(swallowed, syscall.SIGTERM)
	return ctx, func() { signal.Stop(swallowed) }
}

// leaveChild starts a process in the bot's own process group that outlives the bot.
func leaveChild() {
	child := exec.Command("sleep", "3600") //nolint:noctx // it must not end with the bot
	if err := child.Start(); err != nil {
		say("start a child: %v", err)
		return
	}
	say("child %d", child.Process.Pid)
	_ = child.Process.Release()
}

// standStill stops the whole process until somebody sends SIGCONT.
func standStill() {
	woken := make(chan os.Signal, 1)
	signal.Notify(woken, syscall.SIGCONT)
	defer signal.Stop(woken)
	say("standing still")
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // one may send it to oneself
	<-woken                                        // the stop may be late for the thread that asked for it
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "sim-bot: "+format+"\n", args...) }
