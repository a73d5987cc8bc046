// SPDX-License-Identifier: Apache-2.0

// Package transfers hands callers over to people: it decides what follows for a transfer from the call's story, dials, holds
// and joins, and answers bots and operators who ask for it.
package transfers

import (
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
	"github.com/trunkline/trunkline/pkg/edge"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

// name is the service's, on the bus and to call-control.
const name = "transfer-service"

// Service is transfer-service.
var Service = app.Service{
	Name: name,
	Needs: bus.Needs{
		Service: name,
		Events: []proto.Message{
			&callv1.TransferRequested{}, &callv1.TransferAnnounced{}, &callv1.TransferStarted{}, &callv1.TransferMissed{},
			&callv1.TransferAnswered{}, &callv1.TransferBriefed{},
			&callv1.TransferCompleted{}, &callv1.TransferFailed{}, &callv1.TransferCancelled{},
			&callv1.LegConnected{}, &callv1.LegAnswered{}, &callv1.LegFailed{}, &callv1.LegEnded{}, &callv1.LegSeen{}, &callv1.LegLost{},
			&callv1.LegTransfer{}, &callv1.ParticipantJoined{}, &callv1.ParticipantLeft{}, &callv1.BotReady{}, &callv1.BotFailed{}, &callv1.BotExited{},
			&callv1.CallForwarded{}, &callv1.CallEnded{},
		},
		Buckets: []jetstream.KeyValueConfig{budget.Bucket},
		Timers:  true,
		Follows: true,
		Reads:   []jetstream.KeyValueConfig{auth.Bucket},
	},
	Secrets: []string{config.EnvDailyAPIKey, config.EnvTrunklineSecret},
	Serve:   serve,
}

// policyWithin is how long call-control may take to say whether somebody may be called.
const policyWithin = 5 * time.Second

func serve(ctx context.Context, env *app.Env) error {
	keys, err := auth.Open(ctx, env.Bus.JS)
	if err != nil {
		return err
	}
	x, err := newTransfers(ctx, env)
	if err != nil {
		return err
	}
	gate := &auth.Gate{Keys: keys, PerSecond: env.Config.Control.RequestsPerSecond, Tokens: tokens(env), Bots: true}
	mux := http.NewServeMux()
	path, handler := transferv1connect.NewTransferServiceHandler(&rpc{Transfers: x, life: ctx}, edge.Options(gate, env.Log))
	edge.Handle(mux, transferv1connect.TransferServiceName, path, handler)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return env.Bus.Consume(ctx, x.Handlers()...) })
	group.Go(func() error { return env.Timers.Run(ctx, map[string]timer.Handler{stepTimer: x.Timer}) })
	group.Go(func() error { return env.HTTP(ctx, "transfer", env.Config.Listen.Transfer, mux) })
	env.Ready.Yes()
	return group.Wait()
}

func tokens(env *app.Env) *auth.Tokens { return &auth.Tokens{Secrets: env.Secrets.TrunklineSecret} }

func newTransfers(ctx context.Context, env *app.Env) (*Transfers, error) {
	client, err := env.Daily(ctx)
	if err != nil {
		return nil, err
	}
	targets, err := NewTargets(env.Config)
	if err != nil {
		return nil, err
	}
	x := &Transfers{
		Bus: env.Bus, Timers: env.Timers, Now: time.Now, Log: env.Log, Config: env.Config, Targets: targets, Daily: client,
		Rules: Rules{LostAfter: env.Config.Transfer.LostAfter, MessageTimeout: env.Config.Transfer.MessageTimeout},
		Policy: controlv1connect.NewCallServiceClient(&http.Client{Timeout: policyWithin}, env.Config.ControlURL(),
			connect.WithInterceptors(auth.ServiceBearer(tokens(env), name))),
	}
	x.Pace, _ = client.Budget.(*budget.Budget) // nil keeps none
	dialler := *client
	dialler.Budget = nil
	x.Dialler = &dialler
	return x, nil
}
