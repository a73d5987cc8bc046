// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/bots"
)

const (
	atOnce = 200 // rooms that get ready at the same time
	rounds = 5
)

// dispatch measures how long bot-scheduler, alone with the broker, takes from RoomReady to BotStarting, which says that
// a slot is leased: from the time at which the one was stored to that of the other. The bots do nothing.
func (f *Figures) dispatch(ctx context.Context, p place) (err error) {
	b, err := start(ctx, p, func(f *fleet) []app.Service {
		f.idle = true
		return []app.Service{bots.NewService(map[string]bots.Backend{fleetName: f})}
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	d, err := newDispatch(ctx, b)
	if err != nil {
		return err
	}
	for round := range rounds {
		if err := d.round(ctx, round); err != nil {
			return err
		}
	}
	f.Dispatch = Dispatch{Jobs: atOnce * rounds, AtOnce: atOnce, P50: quantile(d.took, .5), P99: quantile(d.took, .99)}
	return nil
}

type dispatch struct {
	ingress, provisioner *bus.Bus
	leased               chan struct{}

	mu    sync.Mutex
	ready map[string]time.Time
	took  []time.Duration
}

func newDispatch(ctx context.Context, b *bed) (*dispatch, error) {
	log := slog.New(slog.DiscardHandler)
	d := &dispatch{
		ingress: bus.New("ingress", b.JS, log, nil), provisioner: bus.New("room-provisioner", b.JS, log, nil),
		leased: make(chan struct{}, atOnce*rounds), ready: map[string]time.Time{},
	}
	cons, err := b.JS.OrderedConsumer(ctx, bus.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{bus.Filter(&callv1.RoomReady{}), bus.Filter(&callv1.BotStarting{})},
	})
	if err != nil {
		return nil, err
	}
	_, err = cons.Consume(d.see)
	return d, err
}

func (d *dispatch) see(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	id, event, _ := strings.Cut(strings.TrimPrefix(msg.Subject(), "calls."), ".")
	if strings.HasPrefix(event, "RoomReady") {
		d.ready[id] = meta.Timestamp
		return
	}
	d.took = append(d.took, meta.Timestamp.Sub(d.ready[id]))
	d.leased <- struct{}{}
}

func (d *dispatch) round(ctx context.Context, round int) error {
	id := func(i int) string { return bus.CallID("bench", fmt.Sprint(round), fmt.Sprint(i)) }
	var received, ready errgroup.Group
	for i := range atOnce {
		received.Go(func() error {
			_, err := d.ingress.Publish(bus.WithCause(ctx, "bench"), id(i), &callv1.CallReceived{CallDomain: "bench", DailyCallId: id(i), Agent: agentName})
			return err
		})
	}
	if err := received.Wait(); err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond)
	for i := range atOnce {
		ready.Go(func() error {
			_, err := d.provisioner.Publish(bus.WithCause(ctx, "bench"), id(i), &callv1.RoomReady{
				Attempt: 1, Agent: agentName, Room: "bench", RoomUrl: "http://127.0.0.1/bench", SipUri: "sip:bench",
				Expires: timestamppb.New(time.Now().Add(time.Hour)),
			})
			return err
		})
	}
	if err := ready.Wait(); err != nil {
		return err
	}
	for range atOnce {
		if err := await(ctx, "given a slot", d.leased); err != nil {
			return err
		}
	}
	time.Sleep(200 * time.Millisecond)
	return nil
}
