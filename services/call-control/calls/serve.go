// SPDX-License-Identifier: Apache-2.0

// Package calls decides what follows for a call from its story: the next attempt, the connection, the end. It keeps each
// call's limits, and answers what is asked about calls.
package calls

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/edge"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/call-control/admission"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

// Service is call-control.
var Service = app.Service{
	Name: "call-control",
	Needs: bus.Needs{
		Service: "call-control",
		Events: []proto.Message{
			&callv1.CallReceived{}, &callv1.RoomFailed{}, &callv1.BotReady{}, &callv1.BotFailed{}, &callv1.BotExited{},
			&callv1.CallForwarded{}, &callv1.ForwardFailed{},
			&callv1.LegConnected{}, &callv1.LegSeen{}, &callv1.LegFailed{}, &callv1.LegEnded{}, &callv1.LegLost{}, &callv1.ParticipantLeft{},
			&callv1.EndRequested{}, &callv1.CallEnded{},
			&callv1.CallRequested{}, &callv1.LegAnswered{}, &callv1.DialFailed{}, &callv1.VoicemailHeard{},
			&callv1.AttemptRequested{}, &callv1.TransferRequested{}, &callv1.TransferMissed{}, &callv1.TransferCompleted{}, &callv1.TransferFailed{},
			&callv1.TransferCancelled{}, &callv1.LegTransfer{},
		},
		Buckets: []jetstream.KeyValueConfig{budget.Bucket, admission.Bucket},
		Timers:  true,
		Follows: true,
		Reads:   []jetstream.KeyValueConfig{auth.Bucket},
	},
	Secrets: []string{config.EnvDailyAPIKey, config.EnvTrunklineSecret},
	Serve:   serve,
}

// compressFrom is what is worth compressing, in bytes: a whole story is, what each of many is told of an event is not.
const compressFrom = 8 << 10

func serve(ctx context.Context, env *app.Env) error {
	keys, err := auth.Open(ctx, env.Bus.JS)
	if err != nil {
		return err
	}
	c, err := newControl(ctx, env)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	view := NewView(env.Config.NATS.MaxAge)
	mux := http.NewServeMux()
	gate := &auth.Gate{Keys: keys, Tokens: &auth.Tokens{Secrets: env.Secrets.TrunklineSecret}, PerSecond: env.Config.Control.RequestsPerSecond}
	path, handler := controlv1connect.NewCallServiceHandler(&rpc{Control: c, view: view, watching: newWatching(ctx)}, edge.Options(gate, env.Log), connect.WithCompressMinBytes(compressFrom))
	edge.Handle(mux, controlv1connect.CallServiceName, path, impatient(handler))

	group.Go(func() error { return env.Bus.Consume(ctx, c.Handlers()...) })
	group.Go(func() error {
		return env.Timers.Run(ctx, map[string]timer.Handler{limitTimer: c.Limit, dueTimer: c.Due, turnTimer: c.Turn, agentTurnTimer: c.AgentTurn, dialTimer: c.DialDoubt})
	})
	group.Go(func() error { return c.sweep(ctx, sweepEvery) })
	group.Go(func() error { return c.Policy.Watch(ctx, env.Log, policy.Interval) })
	group.Go(func() error { return env.Bus.Follow(ctx, view.See, func() { view.CaughtUp(); env.Ready.Yes() }) })
	group.Go(func() error { return env.HTTP(ctx, "control", env.Config.Listen.Control, mux) })
	return group.Wait()
}

func newControl(ctx context.Context, env *app.Env) (*Control, error) {
	client, err := env.Daily(ctx)
	if err != nil {
		return nil, err
	}
	c := &Control{Bus: env.Bus, Timers: env.Timers, Now: time.Now, Log: env.Log, Config: env.Config, Daily: client}
	c.Pace, _ = client.Budget.(*budget.Budget) // nil keeps none
	dialler := *client
	dialler.Budget = nil
	c.Dialler = &dialler
	causes, err := policy.NewCauses(env.Config.Dialout.Errors)
	if err != nil {
		return nil, err
	}
	c.Rules = Rules{LostAfter: env.Config.Dialout.LostAfter, Cause: causes.Cause}
	if c.Policy, err = policy.New(env.Config.Policy, env.Config.Region); err != nil {
		return nil, err
	}
	c.Admission, err = admission.Open(ctx, env.Bus.JS, limitsOf(env.Config, c.Pace.Rate(daily.ClassDial)), time.Now)
	return c, err
}

// limitsOf lets no more calls begin than can be dialled: a bot that is ready would wait for Daily's pace.
func limitsOf(cfg *config.Config, pace float64) admission.Limits {
	perSecond := cfg.Policy.PerSecond
	if pace > 0 && (perSecond <= 0 || pace < perSecond) {
		perSecond = pace
	}
	limits := admission.Limits{
		Concurrent: cfg.Policy.MaxConcurrent, PerSecond: perSecond, Agents: map[string]admission.AgentLimits{},
		PerNumber: cfg.Policy.PerNumber.Calls, Window: cfg.Policy.PerNumber.Window,
	}
	for name, agent := range cfg.Agents {
		limits.Agents[name] = admission.AgentLimits{Concurrent: cmp.Or(agent.MaxDialouts, agent.Slots), PerSecond: agent.DialoutsPerSecond}
	}
	return limits
}
