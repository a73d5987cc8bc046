// SPDX-License-Identifier: Apache-2.0

package webhooks_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// line is a connection to a broker that can go silent without being cut.
type line struct {
	l      net.Listener
	frozen chan struct{} // closed when nothing passes any more
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &line{l: l, frozen: make(chan struct{})}
	var group sync.WaitGroup
	ends := make(chan net.Conn, 16)
	group.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			broker, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				return
			}
			ends <- client
			ends <- broker
			group.Go(func() { ln.pass(client, broker) })
			group.Go(func() { ln.pass(broker, client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(ends)
		for c := range ends {
			c.Close()
		}
		group.Wait()
	})
	return ln
}

func (ln *line) freeze() { close(ln.frozen) }

// pass copies until one of the two is closed. What comes after the freeze is swallowed.
func (ln *line) pass(from, to net.Conn) {
	_, _ = io.Copy(writer(func(p []byte) (int, error) {
		select {
		case <-ln.frozen:
			return len(p), nil
		default:
			return to.Write(p)
		}
	}), from)
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// connect gives a client that speaks to the broker over the line.
func (ln *line) connect(t *testing.T) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("nats://" + ln.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
