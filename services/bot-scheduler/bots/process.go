// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

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
	env   *app.Env
	self  string // our own program, which is also the keeper
	pools map[string]*pool

	mu      sync.Mutex
	keepers map[int]<-chan struct{}
}

func newProcesses(env *app.Env) (*processes, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find our own program, to run it as keeper: %w", err)
	}
	waiting := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "trunkline_bots_warm", Help: "Bots that wait for a job."}, []string{"agent"})
	env.Registry.MustRegister(waiting)
	p := &processes{env: env, self: self, pools: map[string]*pool{}, keepers: map[int]<-chan struct{}{}}
	for name, agent := range env.Config.Agents {
		if agent.Backend == config.Process && agent.Warm > 0 {
			p.pools[name] = &pool{size: agent.Warm, waits: waiting.WithLabelValues(name), log: env.Log.With("agent", name), begin: func() (*keeper.Process, error) {
				return p.begin(agent, config.CommandData{Agent: name, Self: self}, true)
			}}
		}
	}
	return p, nil
}

// keepWarm keeps workers ready until the context ends, and ends them then.
func (p *processes) keepWarm(ctx context.Context) error {
	var group errgroup.Group
	warming := make(chan struct{}, runtime.NumCPU())
	for _, pool := range p.pools {
		group.Go(func() error { return pool.run(ctx, warming) })
	}
	return group.Wait()
}

// Start gives the job to a warm worker, or else starts a keeper, which starts the bot.
func (p *processes) Start(ctx context.Context, s Start) error {
	order := keeper.Order{Lease: s.Lease, Job: s.Job, Cause: s.Cause, Trace: bus.TraceOf(ctx)}
	if worker := p.pools[s.Agent.Name].take(); worker != nil {
		err := worker.Give(order)
		if err == nil {
			p.watch(worker)
			return nil
		}
		p.env.Log.Warn("a warm bot takes no job", "agent", s.Agent.Name, "err", err)
	}
	cold, err := p.begin(s.Agent, config.CommandData{
		CallID: s.Lease.Holder.CallID, Attempt: int(s.Lease.Holder.Attempt), Agent: s.Agent.Name, Self: p.self,
	}, false)
	if err != nil {
		return err
	}
	p.watch(cold)
	return cold.Give(order)
}

func (p *processes) begin(a config.Agent, d config.CommandData, warm bool) (*keeper.Process, error) {
	argv, err := a.Argv(d)
	if err != nil {
		return nil, err
	}
	return keeper.Start(p.self, environ(basicEnv, os.LookupEnv), keeper.Spec{
		NATS: p.env.Config.NATS, NKey: p.env.Secrets.NATSNKey.Reveal(), Log: p.env.Config.Log, TTL: a.Lease,
		Argv: argv, Dir: a.Dir, Env: botEnv(a, os.LookupEnv), KillGrace: a.KillGrace, MaxRuntime: a.MaxRuntime,
		Memory: uint64(a.MemoryLimit) << 20, Handover: !p.env.Dev, Warm: warm,
	})
}

func (p *processes) watch(k *keeper.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepers[k.PID] = k.Exited
	go func() {
		<-k.Exited
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.keepers, k.PID)
	}()
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
