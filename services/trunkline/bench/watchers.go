// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

const (
	watcherCount  = 200
	watchedRate   = 50 // calls a second, of one event each
	watchedEvents = 500
)

// watchers measures, with call-control alone, how long after it was stored an event reaches each of those who watch.
func (f *Figures) watchers(ctx context.Context, p place) (err error) {
	b, err := start(ctx, p, func(*fleet) []app.Service { return []app.Service{calls.Service} })
	if err != nil {
		return err
	}
	defer func() { b.fleet.Close(ctx); err = errors.Join(err, b.end()) }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := controlv1connect.NewCallServiceClient(
		&http.Client{Transport: &http.Transport{}}, b.URLs["control"], connect.WithInterceptors(auth.Bearer(b.Key.Reveal())))
	var watching sync.WaitGroup
	took, failed := make([][]time.Duration, watcherCount), make([]error, watcherCount)
	for i := range watcherCount {
		stream, err := client.WatchCalls(ctx, &controlv1.WatchCallsRequest{})
		if err != nil {
			return err
		}
		watching.Go(func() {
			defer stream.Close()
			for len(took[i]) < watchedEvents && stream.Receive() {
				if e := stream.Msg().GetEvent(); e.GetName() == "CallReceived" {
					took[i] = append(took[i], time.Since(e.GetAt().AsTime()))
				}
			}
			failed[i] = stream.Err()
		})
	}
	ingress := bus.New("ingress", b.JS, slog.New(slog.DiscardHandler), nil)
	for n, tick := 0, time.NewTicker(time.Second/watchedRate); n < watchedEvents; n++ {
		<-tick.C
		id := bus.CallID("bench", "watched", fmt.Sprint(n))
		if _, err := ingress.Publish(bus.WithCause(ctx, "bench"), id, &callv1.CallReceived{CallDomain: "bench", DailyCallId: id, From: caller, To: called, Agent: agentName}); err != nil {
			return err
		}
	}
	watching.Wait()
	var all []time.Duration
	for _, one := range took {
		all = append(all, one...)
	}
	f.Watch = Watch{Watchers: watcherCount, Rate: watchedRate, Events: len(all), P50: quantile(all, .5), P99: quantile(all, .99)}
	return errors.Join(failed...)
}
