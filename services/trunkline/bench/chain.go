// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
)

// bareChain measures the limit that JetStream sets: chains of as many publishes, consumes and acks as a call has events,
// on the stream that calls are on, with headers and conditions as theirs, as many at once as in the closed loop, and
// nothing done in between.
func (f *Figures) bareChain(ctx context.Context, p place) (err error) {
	b, err := start(ctx, p, func(*fleet) []app.Service { return []app.Service{} })
	if err != nil {
		return err
	}
	defer func() { b.fleet.Close(ctx); err = errors.Join(err, b.end()) }()
	publishing, err := nats.Connect(b.URLs["nats"])
	if err != nil {
		return err
	}
	defer publishing.Close()
	js, err := jetstream.New(publishing)
	if err != nil {
		return err
	}
	cons, err := b.JS.CreateOrUpdateConsumer(ctx, bus.Stream, jetstream.ConsumerConfig{
		Durable: "chain", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1, MaxAckPending: 10_000,
	})
	if err != nil {
		return err
	}
	var chains, lost atomic.Int64
	body := make([]byte, 200)
	publish := func(id string, step int) {
		key := strconv.Itoa(step)
		_, err := js.PublishMsg(ctx, &nats.Msg{Subject: "calls." + id + ".E." + key, Data: body, Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-id": {id + ".E." + key}, "ce-type": {"trunkline.call.v1.Event"}, "ce-source": {"bench"},
			"ce-time": {time.Now().UTC().Format(time.RFC3339Nano)}, "ce-subject": {id}, "ce-causeid": {id + ".E"},
		}}, jetstream.WithExpectLastSequencePerSubject(0))
		if err != nil {
			lost.Add(1)
		}
	}
	work := make(chan jetstream.Msg, 2*inFlight)
	for range inFlight {
		go func() {
			for msg := range work {
				parts := strings.Split(msg.Subject(), ".")
				step, _ := strconv.Atoi(parts[3])
				if step < f.Whole.Events {
					publish(parts[1], step+1)
				}
				_ = msg.Ack()
				if step == f.Whole.Events {
					chains.Add(1)
					publish(bus.CallID(uuid.NewString()), 1)
				}
			}
		}()
	}
	defer close(work)
	consume, err := cons.Consume(func(msg jetstream.Msg) { work <- msg }, jetstream.PullMaxMessages(inFlight))
	if err != nil {
		return err
	}
	for range inFlight {
		publish(bus.CallID(uuid.NewString()), 1)
	}
	time.Sleep(time.Second)
	began, before := time.Now(), chains.Load()
	time.Sleep(4 * time.Second)
	f.Chain.Rate = float64(chains.Load()-before) / time.Since(began).Seconds()
	f.Chain.Ratio = f.Whole.Rate / f.Chain.Rate
	consume.Stop()
	<-consume.Closed()
	if n := lost.Load(); n > 0 {
		return fmt.Errorf("%d publishes failed", n)
	}
	return nil
}
