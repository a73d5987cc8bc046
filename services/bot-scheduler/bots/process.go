// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/bot-scheduler/keeper"
)

// basicEnv is what a bot finds of the scheduler's environment whatever its agent says. Everything else, above all the
// secrets, it does not.
var basicEnv = []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// processes runs each bot as a process of its own, under a keeper.
type processes struct {
	env  *app.Env
	self string // our own program, which is also the keeper

	mu      sync.Mutex
	keepers map[int]<-chan struct{}
}

func newProcesses(env *app.Env) (*processes, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find our own program, to run it as keeper: %w", err)
	}
	return &processes{env: env, self: self, keepers: map[int]<-chan struct{}{}}, nil
}

// Start starts a keeper, which starts the bot.
func (p *processes) Start(ctx context.Context, s Start) error {
	argv, err := s.Agent.Argv(config.CommandData{
		CallID: s.Lease.Holder.CallID, Attempt: int(s.Lease.Holder.Attempt), Agent: s.Agent.Name, Self: p.self,
	})
	if err != nil {
		return err
	}
	pid, exited, err := keeper.Start(p.self, environ(basicEnv, os.LookupEnv), keeper.Spec{
		NATS: p.env.Config.NATS, NKey: p.env.Secrets.NATSNKey.Reveal(), Log: p.env.Config.Log, Lease: s.Lease, TTL: s.Agent.Lease,
		Argv: argv, Dir: s.Agent.Dir, Env: botEnv(s.Agent, os.LookupEnv), Job: s.Job, KillGrace: s.Agent.KillGrace, Cause: s.Cause,
		Trace: bus.TraceOf(ctx), Handover: !p.env.Dev,
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepers[pid] = exited
	go func() {
		<-exited
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.keepers, pid)
	}()
	return nil
}

// Wait waits until the last keeper has ended, and with it what it had to report.
func (p *processes) Wait(ctx context.Context) {
	for _, exited := range p.living() {
		select {
		case <-exited:
		case <-ctx.Done():
			return
		}
	}
}

// Close stops the bots where they end with this process: in a world of its own, and where it has waited for them.
// Elsewhere they live on under their keepers.
func (p *processes) Close(ctx context.Context) {
	if !p.env.Dev && p.env.Config.Drain == 0 {
		return
	}
	for pid := range p.living() {
		_ = syscall.Kill(pid, syscall.SIGTERM) // gone already is well
	}
	p.Wait(ctx)
}

func (p *processes) living() map[int]<-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.keepers)
}

func botEnv(agent config.Agent, lookup func(string) (string, bool)) []string {
	env := environ(slices.Concat(basicEnv, agent.PassEnv), lookup)
	for name, value := range agent.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// environ gives those of the named variables that are set.
func environ(names []string, lookup func(string) (string, bool)) []string {
	var env []string
	for _, name := range names {
		if value, ok := lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
