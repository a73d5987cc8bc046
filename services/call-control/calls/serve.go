// SPDX-License-Identifier: Apache-2.0

// Package calls decides what follows for a call from its story: the next attempt, the connection, the end. It keeps each
// call's limits, and answers what is asked about calls.
package calls

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
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
		},
		Timers:  true,
		Follows: true,
	},
	Serve: serve,
}

// maxRequest bounds an RPC's request, in bytes.
const maxRequest = 256 << 10

func serve(ctx context.Context, env *app.Env) error {
	c := &Control{Bus: env.Bus, Timers: env.Timers, Now: time.Now}
	view := NewView(env.Config.NATS.MaxAge)
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewCallServiceHandler(&rpc{bus: env.Bus, view: view}, connect.WithReadMaxBytes(maxRequest)))
	reflector := grpcreflect.NewStaticReflector(controlv1connect.CallServiceName)
	mux.Handle(grpcreflect.NewHandlerV1(reflector))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return env.Bus.Consume(ctx, c.Handlers()...) })
	group.Go(func() error { return env.Timers.Run(ctx, map[string]timer.Handler{limitTimer: c.Limit}) })
	group.Go(func() error { return env.Bus.Follow(ctx, view.See, env.Ready.Yes) })
	group.Go(func() error { return env.HTTP(ctx, "control", env.Config.Listen.Control, mux) })
	return group.Wait()
}
