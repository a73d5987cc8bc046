// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// cloud is a place with sessions.
type cloud struct {
	remote.Overseer
	alive    []string
	from, to time.Time
}

func (c *cloud) Alive(_ context.Context, from, to time.Time) ([]string, error) {
	c.from, c.to = from, to
	return c.alive, nil
}

// A start of which nothing is known holds its slot until no session can be its bot's.
func TestASessionThatNobodyHasNamedMayBeTheBots(t *testing.T) {
	server := bustest.Start(t)
	b := bus.New("bot-scheduler", server.Setup(bus.Needs{Service: "bot-scheduler", Events: []proto.Message{&callv1.RoomReady{}}}), slog.New(slog.DiscardHandler), nil)
	used := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "x"}, []string{"agent"})
	s := &Scheduler{Bus: b, ledger: newLedger(used), Config: &config.Config{Agents: map[string]config.Agent{
		"day":   {Name: "day", Backend: config.PipecatCloud, CloudAgent: "support"},
		"night": {Name: "night", Backend: config.PipecatCloud, CloudAgent: "support"},
	}}}
	other := bus.CallID("another")
	for _, m := range []proto.Message{&callv1.BotStarting{Attempt: 1}, &callv1.BotStarted{Attempt: 1, Handle: "theirs"}} {
		if _, err := b.Publish(t.Context(), other, m); err != nil {
			t.Fatal(err)
		}
	}
	s.ledger.add(task{CallID: other, Attempt: 1, Agent: "night"}, true)
	s.ledger.seat(slots.Key("night", 0), taskKey(other, 1))

	long := time.Now().Add(-startedWithin - time.Second)
	for phrase, c := range map[string]struct {
		at    time.Time
		alive []string
		want  bool
	}{
		"its session may still begin":           {time.Now().Add(-time.Minute), nil, true},
		"none was begun":                        {long, nil, false},
		"one that is another bot's":             {long, []string{"theirs"}, false},
		"one of which nobody knows whose it is": {long, []string{"theirs", "whose"}, true},
	} {
		place := &cloud{alive: c.alive}
		got, err := s.nameless(t.Context(), place, &call.Attempt{N: 1, Agent: "day", StartingAt: c.at})
		if err != nil || got != c.want {
			t.Errorf("%s: %t, %v", phrase, got, err)
		}
		if c.at.Equal(long) && (place.from.After(long) || place.to.Before(long.Add(startedWithin))) {
			t.Errorf("%s: asked for %s to %s", phrase, place.from, place.to)
		}
	}
}

// Of a place that has no capacity, one call at a time finds out whether it has some again.
func TestALineStandsWhereThereIsNoCapacity(t *testing.T) {
	f := newFull()
	if f.stands("agent") {
		t.Error("it stands before anything was refused")
	}
	f.heard("agent", false)
	if !f.stands("agent") || f.stands("another") {
		t.Error("it does not stand, or another does")
	}
	for f.stands("agent") {
		time.Sleep(10 * time.Millisecond)
	}
	f.tries("agent")
	if !f.stands("agent") {
		t.Error("two try")
	}
	f.heard("agent", true)
	if f.stands("agent") {
		t.Error("it stands although one was taken")
	}
}
