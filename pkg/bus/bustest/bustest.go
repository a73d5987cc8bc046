// SPDX-License-Identifier: Apache-2.0

// Package bustest gives every test a real JetStream, in the test's process.
package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
)

// Server is a NATS server with JetStream that ends with its test.
type Server struct {
	*server.Server
	t testing.TB
}

// Start starts a server that listens on a free port of loopback and keeps its files in the test's folder.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartAt(t, t.TempDir(), server.RANDOM_PORT)
}

// StartAt starts a server on a folder and a port of the test's choice, such as those of one that has been shut down.
func StartAt(t testing.TB, dir string, port int) *Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatalf("start NATS: %v", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not get ready")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return &Server{s, t}
}

// Connect gives a client of the server.
func (s *Server) Connect() jetstream.JetStream {
	s.t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		s.t.Fatalf("connect to NATS: %v", err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// Setup creates what the services need and gives a client.
func (s *Server) Setup(needs ...bus.Needs) jetstream.JetStream {
	s.t.Helper()
	js := s.Connect()
	err := bus.Setup(s.t.Context(), js, bus.Settings{Replicas: 1, MaxAge: time.Hour}, func(string) {}, needs...)
	if err != nil {
		s.t.Fatalf("set up the bus: %v", err)
	}
	return js
}

// Expect waits until the call has an event with a key such as RoomReady.1, and gives it. It fails the test after ten
// seconds.
func Expect(t testing.TB, b *bus.Bus, callID, key string) *bus.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cons, err := b.JS.OrderedConsumer(ctx, bus.Stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"calls." + callID + "." + key}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cons.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
		story, _ := b.Story(t.Context(), callID)
		var keys []string
		if story != nil {
			for _, e := range story.Events {
				keys = append(keys, e.Key())
			}
		}
		t.Fatalf("expected %s of call %s: %v; there are %v", key, callID, err, keys)
	}
	e, err := b.Find(ctx, callID, key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
