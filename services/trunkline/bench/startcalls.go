// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// Calls are asked for at this rate, for so long.
const (
	startRate = 200
	startLong = 5 * time.Second
)

// startCalls measures how long StartCall takes, of calls that are for later: nobody is called meanwhile. Each must be
// stored.
func (f *Figures) startCalls(ctx context.Context, p place) (err error) {
	b, err := start(ctx, p, allServices)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	client := controlv1connect.NewCallServiceClient(b.http, b.URLs["control"], connect.WithInterceptors(auth.Bearer(b.Key.Reveal())))
	if _, err := askFor(ctx, client, "warm-up", 50, time.Second); err != nil {
		return err
	}
	took, err := askFor(ctx, client, "measured", startRate, startLong)
	if err != nil {
		return err
	}
	stored, err := b.requested(ctx)
	if err != nil {
		return err
	}
	var all []time.Duration
	for id, d := range took {
		if !stored[id] {
			return fmt.Errorf("call %s was asked for and is not stored", id)
		}
		all = append(all, d)
	}
	f.Start = Start{Rate: startRate, Calls: len(all), P50: quantile(all, .5), P99: quantile(all, .99)}
	return nil
}

// askFor asks for calls at a rate, each on its own, and gives how long the answers took, by the calls' ids.
func askFor(ctx context.Context, client controlv1connect.CallServiceClient, key string, rate int, long time.Duration) (map[string]time.Duration, error) {
	type answer struct {
		id   string
		took time.Duration
	}
	answers := make([]answer, int(float64(rate)*long.Seconds()))
	later := timestamppb.New(time.Now().Add(24 * time.Hour))
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range answers {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		group.Go(func() error {
			asked := time.Now()
			res, err := client.StartCall(ctx, &controlv1.StartCallRequest{
				IdempotencyKey: fmt.Sprint(key, " ", i), To: fmt.Sprintf("+1415555%04d", i), Agent: agentName, NotBefore: later,
			})
			answers[i] = answer{res.GetCall().GetId(), time.Since(asked)}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	took := map[string]time.Duration{}
	for _, a := range answers {
		took[a.id] = a.took
	}
	if len(took) != len(answers) {
		return nil, fmt.Errorf("%d calls were asked for, and %d given", len(answers), len(took))
	}
	return took, nil
}

// requested are the calls that the stream says were asked for.
func (b *bed) requested(ctx context.Context) (map[string]bool, error) {
	stream, err := b.JS.Stream(ctx, bus.Stream)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(bus.Filter(&callv1.CallRequested{})))
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for subject := range info.State.Subjects {
		ids[strings.Split(subject, ".")[1]] = true
	}
	return ids, nil
}
