// SPDX-License-Identifier: Apache-2.0

package rooms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// turnKey is where the janitors of all processes note the last look at presence, so that one look is enough for all.
const turnKey = "janitor"

// janitor compares Daily's presence with the record: it finds legs, and hang-ups, whose webhooks got lost, and sends out
// who is still in the room of a call that is over.
type janitor struct {
	*Provisioner
	turns jetstream.KeyValue
	ready chan struct{}

	mu     sync.Mutex
	calls  map[string]*call.State // those that are not over and cleared
	absent map[string]time.Time   // legs by call and session: since when presence does not show them
}

func newJanitor(p *Provisioner, turns jetstream.KeyValue) *janitor {
	return &janitor{Provisioner: p, turns: turns, ready: make(chan struct{}), calls: map[string]*call.State{}, absent: map[string]time.Time{}}
}

func (j *janitor) see(e *bus.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.calls[e.CallID]
	if s == nil {
		switch e.Data.(type) {
		case *callv1.CallReceived, *callv1.CallRequested:
		default:
			return // what comes after a call was cleared
		}
		s = call.New(e.CallID)
		j.calls[e.CallID] = s
	}
	s.Apply(e)
	if s.Ended != nil && s.Released && s.LegsAlive() == 0 && !s.OperatorIn() {
		delete(j.calls, e.CallID)
	}
}

func (j *janitor) caughtUp() { close(j.ready) }

func (j *janitor) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-j.ready:
	}
	tick := time.NewTicker(j.Config.Daily.JanitorInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if mine, err := j.turn(ctx); err != nil || !mine {
			j.Log.Debug("another process looks at presence", "err", err)
			continue
		}
		if err := j.look(ctx); err != nil && ctx.Err() == nil {
			j.Log.Warn("compare presence with the record", "err", err)
		}
	}
}

// turn takes the next look for this process, unless another has looked within the interval.
func (j *janitor) turn(ctx context.Context) (bool, error) {
	now := []byte(time.Now().UTC().Format(time.RFC3339Nano))
	e, err := j.turns.Get(ctx, turnKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		_, err = j.turns.Create(ctx, turnKey, now)
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	if last, err := time.Parse(time.RFC3339Nano, string(e.Value())); err == nil && time.Since(last) < j.Config.Daily.JanitorInterval*9/10 {
		return false, nil
	}
	_, err = j.turns.Update(ctx, turnKey, now, e.Revision())
	return err == nil, err
}

func (j *janitor) look(ctx context.Context) error {
	presence, err := j.Daily.Presence(ctx)
	if err != nil {
		return err
	}
	calls := j.open()
	for room := range presence {
		if callID, _, ours := call.ParseRoom(room); ours {
			calls[callID] = true
		}
	}
	var errs []error
	for callID := range calls {
		errs = append(errs, j.compare(ctx, callID, presence, time.Now()))
	}
	return errors.Join(errs...)
}

// open gives the ids of the calls that are not over and cleared.
func (j *janitor) open() map[string]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	ids := make(map[string]bool, len(j.calls))
	for id, s := range j.calls {
		if len(occupied(s)) > 0 { // else nobody can be anywhere
			ids[id] = true
		}
	}
	return ids
}

// compare reads the call anew: what the janitor has followed may be behind.
func (j *janitor) compare(ctx context.Context, callID string, presence map[string][]daily.Participant, now time.Time) error {
	story, err := j.Bus.Story(ctx, callID)
	if err != nil {
		return err
	}
	s := call.Read(story)
	if !s.Begun() {
		return nil // another installation's, on the same domain
	}
	if s.Ended != nil {
		return j.clearDead(ctx, s, presence, now)
	}
	ctx = bus.WithCause(ctx, "presence")
	shown := map[string]bool{}
	legs := 0
	for room := range occupied(s) {
		for _, who := range presence[room] {
			shown[who.ID] = true
			if _, _, bot := call.ParseBot(who.UserID); bot {
				continue
			}
			_, attempt, _ := call.ParseRoom(room)
			if operator, ours := operatorOf(s, who); ours {
				if err := j.operatorSeen(ctx, s, operator, who.ID, room, attempt); err != nil {
					return err
				}
				continue
			}
			legs++
			if a := s.Attempt(attempt); s.Legs[who.ID] != nil || a == nil || a.Forward == nil && a.Dial == nil && !s.Requested.GetBotDials() {
				continue // known, or somebody who looks in: nobody was forwarded there, or dialled
			} else if a.Dialled != nil && a.Dialled.GetSessionId() != who.ID {
				continue // somebody else than who was dialled
			} else if s.LegsAlive() > 0 && unseenOperator(s) == room {
				continue // perhaps somebody who was dialled for a transfer, and has not been named
			}
			if _, err := j.Bus.Publish(ctx, callID, &callv1.LegSeen{SessionId: who.ID, Room: room, Attempt: attempt, UserId: who.UserID}); err != nil {
				return err
			}
		}
	}
	for _, leg := range s.Legs {
		if leg.Gone || !j.gone(callID, leg.Session, shown[leg.Session], now) {
			continue
		}
		if err := j.lost(ctx, s, leg.Session, leg.Room); err != nil {
			return err
		}
	}
	if unseenCaller(s) != "" && j.gone(callID, "unseen", legs > 0, now) {
		return j.lost(ctx, s, "unseen", s.Forwarded.Data.GetRoom())
	}
	return nil
}

// operatorOf gives what somebody in a room is called who was dialled for a transfer of the call: by his name, or by his
// session where Daily has told it. Anybody else is not ok.
func operatorOf(s *call.State, who daily.Participant) (userID string, ok bool) {
	if n, k := s.DialledAs(who.ID); n > 0 {
		return call.OperatorID(s.ID, n, k), true
	}
	callID, _, _, ok := call.ParseOperator(who.UserID)
	return who.UserID, ok && callID == s.ID
}

// operatorSeen writes down that somebody is there who was dialled for a transfer.
func (j *janitor) operatorSeen(ctx context.Context, s *call.State, userID, session, room string, attempt uint32) error {
	if s.Legs[session] != nil {
		return nil
	}
	_, err := j.Bus.Publish(ctx, s.ID, &callv1.LegSeen{SessionId: session, Room: room, Attempt: attempt, UserId: userID})
	return err
}

// gone reports whether presence has not shown a leg for as long as it takes to be sure.
func (j *janitor) gone(callID, session string, shown bool, now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := callID + "." + session
	since, missing := j.absent[key]
	switch {
	case shown:
		delete(j.absent, key)
	case !missing:
		j.absent[key] = now
	case now.Sub(since) >= j.Config.Daily.PresenceSettle:
		delete(j.absent, key)
		return true
	}
	return false
}

func (j *janitor) lost(ctx context.Context, s *call.State, session, room string) error {
	_, attempt, _ := call.ParseRoom(room)
	_, err := j.Bus.Publish(ctx, s.ID, &callv1.LegLost{SessionId: session, Room: room, Attempt: attempt})
	return err
}

// clearDead sends out who is still in the room of a call that has been over for longer than presence lags (10-25 s, as
// measured), and takes legs off the record that are no longer there.
func (j *janitor) clearDead(ctx context.Context, s *call.State, presence map[string][]daily.Participant, now time.Time) error {
	if now.Sub(s.Ended.At) < j.Config.Daily.PresenceSettle/2 { // what presence shows may still be ghosts
		return nil
	}
	shown := map[string]bool{}
	for room := range occupied(s) {
		var ids []string
		for _, who := range presence[room] {
			ids, shown[who.ID] = append(ids, who.ID), true
		}
		if len(ids) == 0 {
			continue
		}
		j.Log.Warn("somebody is still in the room of a call that is over", "call_id", s.ID, "room", room, "how_many", len(ids))
		if _, err := j.Daily.Eject(ctx, room, ids, nil, true); err != nil {
			return fmt.Errorf("eject: %w", err)
		}
	}
	for _, leg := range s.Legs {
		if !leg.Gone && j.gone(s.ID, leg.Session, shown[leg.Session], now) {
			if err := j.lost(bus.WithCause(ctx, "presence"), s, leg.Session, leg.Room); err != nil {
				return err
			}
		}
	}
	return nil
}
