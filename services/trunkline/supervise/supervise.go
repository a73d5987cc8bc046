// SPDX-License-Identifier: Apache-2.0

// Package supervise runs a program, and ends it when it has stopped being well, so that whoever started both starts it
// anew: what a liveness probe is elsewhere, and Docker has not.
package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/trunkline/trunkline/pkg/probe"
)

// Program is what is supervised.
type Program struct {
	Argv     []string
	URL      string        // answers 200 while it is well
	Every    time.Duration // between two looks
	Failures int           // in a row, after which it is ill
	Fatal    string        // in an answer, tells that it will not get well by itself; empty: nothing does
	// OnlyFatal: no other answer counts, as where what it lacks are its peers.
	OnlyFatal bool
	Grace     time.Duration // between SIGTERM and SIGKILL
	Log       *slog.Logger
}

// Run runs the program until it ends, which is an error unless its status is 0 and it was well. Signals are passed on to
// it. Before the first time that it is well only a fatal answer counts: to read a large store takes its time.
func (p Program) Run(ctx context.Context) error {
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...) //nolint:noctx // it is told to end by a signal
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	var status error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		status = cmd.Wait()
	}()
	ill := make(chan error, 1)
	ctx, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	go p.watch(ctx, ill)
	for {
		select {
		case <-ended:
			if status != nil {
				return fmt.Errorf("%s: %w", p.Argv[0], status)
			}
			return nil
		case s := <-signals:
			_ = cmd.Process.Signal(s) // gone already is well
		case why := <-ill:
			p.Log.Error("not well any more: ended, to be started anew", "err", why)
			_ = cmd.Process.Signal(syscall.SIGTERM)
			last := time.AfterFunc(p.Grace, func() { _ = cmd.Process.Kill() })
			defer last.Stop()
			<-ended
			return fmt.Errorf("%s was not well any more: %w", p.Argv[0], why)
		}
	}
}

// watch tells once when the program has been well and is not any more.
func (p Program) watch(ctx context.Context, ill chan<- error) {
	look := time.NewTicker(p.Every)
	defer look.Stop()
	failures, well := 0, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		err := probe.Get(ctx, p.URL)
		if err == nil {
			failures, well = 0, true
			continue
		}
		if fatal := p.Fatal != "" && strings.Contains(err.Error(), p.Fatal); !fatal && (!well || p.OnlyFatal) {
			continue
		}
		if failures++; failures == p.Failures {
			ill <- err
			return
		}
	}
}
