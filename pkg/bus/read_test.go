// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// A broker that breaks off in the middle is played by a subscriber in the stream's place: a whole one does not do so.
func TestAnAnswerOfWhichAPartWasLostIsAskedForAgain(t *testing.T) {
	for name, lost := range map[string]int{"the first": 0, "one between": 1, "the last": 2, "the end": 3} {
		t.Run(name, func(t *testing.T) {
			js := bustest.Start(t).Connect()
			id := bus.CallID("lost")
			asked := 0
			answer(t, js.Conn(), func(m *nats.Msg) {
				asked++
				for i, part := range parts(t, m.Reply, id, 3) {
					if asked > 1 || i != lost {
						if err := js.Conn().PublishMsg(part); err != nil {
							t.Error(err)
						}
					}
				}
			})
			b := bus.New("call-control", js, slog.New(slog.DiscardHandler), nil)
			if got := keys(t, b, id); !slices.Equal(got, []string{"RoomReady.1", "RoomReady.2", "RoomReady.3"}) || asked != 2 {
				t.Errorf("asked %d times: %v", asked, got)
			}
		})
	}
}

// A replica that has not heard of anything yet is played, too.
func TestAReplicaThatLagsBehindTakesNothingBack(t *testing.T) {
	js := bustest.Start(t).Connect()
	id := bus.CallID("lagging")
	asked := 0
	answer(t, js.Conn(), func(m *nats.Msg) {
		asked++
		if asked > 1 {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"No Results"}}})
			return
		}
		for _, part := range parts(t, m.Reply, id, 2) {
			_ = js.Conn().PublishMsg(part)
		}
	})
	b := bus.New("call-control", js, slog.New(slog.DiscardHandler), nil)
	for range 2 {
		if got := keys(t, b, id); !slices.Equal(got, []string{"RoomReady.1", "RoomReady.2"}) {
			t.Errorf("the story is %v", got)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func answer(t *testing.T, nc *nats.Conn, to nats.MsgHandler) {
	t.Helper()
	if _, err := nc.Subscribe("$JS.API.DIRECT.GET."+bus.Stream, to); err != nil {
		t.Fatal(err)
	}
}

// parts is an answer as the broker gives it: the messages, each of which names the one before it, and the end.
func parts(t *testing.T, inbox, callID string, n int) (parts []*nats.Msg) {
	t.Helper()
	for i := range n {
		m := &callv1.RoomReady{Attempt: uint32(i + 1)}
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, &nats.Msg{Subject: inbox, Data: data, Header: nats.Header{
			"Nats-Subject": {bus.Subject(callID, m)}, "Nats-Sequence": {fmt.Sprint(10 * (i + 1))},
			"Nats-Last-Sequence": {fmt.Sprint(10 * i)}, "Nats-Time-Stamp": {"2026-11-21T10:00:00Z"},
		}})
	}
	return append(parts, &nats.Msg{Subject: inbox, Header: nats.Header{
		"Status": {"204"}, "Description": {"EOB"}, "Nats-Last-Sequence": {fmt.Sprint(10 * n)},
	}})
}
