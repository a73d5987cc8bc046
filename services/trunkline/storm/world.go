// SPDX-License-Identifier: Apache-2.0

// Package storm has people call a Trunkline that a test knocks about, and be called by it, and holds its promise against
// what the simulator and the record say. What the parts of that Trunkline are, processes or containers, is the test's own affair.
package storm

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// Soon is enough for anything that nothing hinders, on a busy machine.
const Soon = 30 * time.Second

// World is a Trunkline as its callers and its record see it.
type World struct {
	T     *testing.T
	Slots int
	// Patience is how long calls may take to be over on the record and cleared up.
	Patience time.Duration
	Sim      *sim.Sim
	JS       jetstream.JetStream
	Bus      *bus.Bus
	// Processes counts the bots' processes that live.
	Processes func() int

	control  controlv1connect.CallServiceClient // nil: nobody is called
	mu       sync.Mutex
	dialOuts []DialOut
}

// Connect connects to NATS for good, and creates streams, consumers and buckets. A server that goes without a word is
// soon given up.
func (w *World) Connect(url string, replicas int, options ...nats.Option) {
	w.T.Helper()
	options = append(options, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.PingInterval(time.Second), nats.IgnoreDiscoveredServers())
	nc, err := nats.Connect(url, options...)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(nc.Close)
	if w.JS, err = jetstream.New(nc); err != nil {
		w.T.Fatal(err)
	}
	w.Poll(Soon, "streams, consumers and buckets", func() string { // a broker that has just started may refuse
		if err := bus.Setup(w.T.Context(), w.JS, bus.Settings{Replicas: replicas, MaxAge: 24 * time.Hour}, func(string) {}, stack.Needs()...); err != nil {
			return err.Error()
		}
		return ""
	})
	w.Bus = bus.New("test", w.JS, slog.New(slog.DiscardHandler), nil)
}

// Poll waits until nothing is missing any more.
func (w *World) Poll(patience time.Duration, what string, missing func() string) {
	w.T.Helper()
	if left := w.Await(patience, missing); left != "" {
		w.T.Fatalf("waited in vain for %s: %s", what, left)
	}
}

// Await waits until nothing is missing any more, and gives what still is.
func (w *World) Await(patience time.Duration, missing func() string) string {
	return w.await(patience, 50*time.Millisecond, missing)
}

func (w *World) await(patience, every time.Duration, missing func() string) string {
	deadline := time.Now().Add(patience)
	for {
		left := missing()
		if left == "" || time.Now().After(deadline) || w.T.Context().Err() != nil {
			return left
		}
		select {
		case <-w.T.Context().Done():
		case <-time.After(every):
		}
	}
}

// During looks again and again for as long as it says; what it sees must be well all the time.
func (w *World) During(d time.Duration, what string, wrong func() string) {
	w.T.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if text := wrong(); text != "" {
			w.T.Fatalf("%s: %s", what, text)
		}
	}
}
