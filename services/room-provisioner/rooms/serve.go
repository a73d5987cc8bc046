// SPDX-License-Identifier: Apache-2.0

// Package rooms owns the rooms at Daily: it makes one for each attempt of a call, sends everybody out when the call is
// over, and compares Daily's presence with the record.
package rooms

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/budget"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Service is room-provisioner.
var Service = app.Service{
	Name: "room-provisioner",
	Needs: bus.Needs{
		Service: "room-provisioner",
		Events: []proto.Message{
			&callv1.CallReceived{}, &callv1.AttemptRequested{}, &callv1.CallEnded{}, &callv1.LegConnected{},
		},
		Buckets: []jetstream.KeyValueConfig{budget.Bucket},
		Follows: true,
	},
	Secrets: []string{config.EnvDailyAPIKey},
	Serve:   serve,
}

// Provisioner makes and clears rooms.
type Provisioner struct {
	Config *config.Config
	Bus    *bus.Bus
	Log    *slog.Logger
	Daily  *daily.Client
}

func serve(ctx context.Context, env *app.Env) error {
	client, err := env.Daily(ctx)
	if err != nil {
		return err
	}
	p := &Provisioner{Config: env.Config, Bus: env.Bus, Log: env.Log, Daily: client}
	accounts, err := env.Bus.JS.KeyValue(ctx, budget.Bucket.Bucket)
	if err != nil {
		return err
	}
	j := newJanitor(p, accounts)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return p.Bus.Consume(ctx,
			bus.On(p.CallReceived, bus.Done(&callv1.RoomReady{}, &callv1.RoomFailed{})),
			bus.On(p.AttemptRequested, bus.Done(&callv1.RoomReady{}, &callv1.RoomFailed{})),
			bus.On(p.CallEnded, bus.AfterEnd, bus.Done(&callv1.RoomReleased{})),
			bus.On(p.LegConnected, bus.AfterEnd, bus.Done(&callv1.LegEnded{}, &callv1.LegLost{})),
		)
	})
	group.Go(func() error { return p.Bus.Follow(ctx, j.see, j.caughtUp) })
	group.Go(func() error { return j.run(ctx) })
	if env.Config.PublicURL != "" {
		hook := &webhook{env: env, daily: client}
		group.Go(func() error { return hook.keep(ctx) })
	}
	env.Ready.Yes()
	return group.Wait()
}
