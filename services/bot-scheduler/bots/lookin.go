// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

const (
	// lookTimer has a bot without a keeper looked in on: as long as its slot is held one is set, whoever lives.
	lookTimer = "look"
	lookEvery = 5 * time.Second
	// leftGrace is how long after a bot's leaving its room, or its last connection to it, something else may be told that
	// explains it: the caller's hanging up, the end of its session. Sessions are slower.
	leftGrace, leftSessionGrace = 3 * time.Second, 15 * time.Second
	// startedWithin is how long after the request a session may have begun that nobody has named to us, and clockSkew how
	// far another clock may be off.
	startedWithin, clockSkew = 90 * time.Second, 30 * time.Second
)

func (s *Scheduler) lookIn(ctx context.Context, callID string, attempt uint32, after time.Duration) error {
	return s.Timers.Set(ctx, timer.ID{Name: lookTimer, CallID: callID, N: attempt}, time.Now().Add(after))
}

// ParticipantLeft has a bot looked in on that has left its room.
func (s *Scheduler) ParticipantLeft(ctx context.Context, in bus.In[*callv1.ParticipantLeft]) error {
	callID, attempt, bot := call.ParseBot(in.Data.GetUserId())
	if !bot || callID != in.CallID {
		return nil
	}
	a := call.Read(in.Story).Attempt(attempt)
	if a == nil || !elsewhere(a) || a.Exited != nil {
		return nil
	}
	return s.lookIn(ctx, callID, attempt, leftGrace)
}

// LookIn looks in on a bot without a keeper: it gives up one that is lost, stops one that is not wanted, and gives back the
// slot of one that is proved to be gone.
func (s *Scheduler) LookIn(ctx context.Context, f timer.Fired) error {
	story, err := s.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	c := call.Read(story)
	a := c.Attempt(f.N)
	switch {
	case a == nil || a.Starting == nil: // a replica lags behind, or the intent was never written down
		if c.Ended != nil {
			return nil
		}
		return s.lookIn(ctx, f.CallID, f.N, lookEvery)
	case !elsewhere(a):
		return nil
	case a.Exited != nil:
		found, err := s.Slots.Free(ctx, a.Starting.GetSlot(), slots.Holder{CallID: c.ID, Attempt: a.N})
		if err != nil || found || time.Since(a.ExitedAt) > justTaken {
			return err
		}
		return s.lookIn(ctx, f.CallID, f.N, lookEvery) // a replica may not have heard yet that it is held
	}
	if wait := s.lingers(c, a); wait > 0 {
		return s.lookIn(ctx, f.CallID, f.N, wait)
	}
	if err := s.lookIn(ctx, f.CallID, f.N, lookEvery); err != nil {
		return err
	}
	// Whatever goes wrong here is tried again with the next look.
	if err := s.attend(ctx, story, c, a); err != nil {
		s.Log.Warn("look in on a bot", "call_id", c.ID, "attempt", a.N, "err", err)
	}
	return nil
}

// lingers says for how long a bot that is not wanted may go on by itself.
func (s *Scheduler) lingers(c *call.State, a *call.Attempt) time.Duration {
	stop := s.unwanted(c, a)
	switch {
	case stop == nil || stop.Linger == 0:
		return 0
	case c.Ended != nil:
		return time.Until(c.Ended.At.Add(stop.Linger))
	case c.Failure() != nil:
		return time.Until(c.Failure().DialFailedAt.Add(stop.Linger))
	}
	return 0
}

func (s *Scheduler) attend(ctx context.Context, story *bus.Story, c *call.State, a *call.Attempt) error {
	stop := s.unwanted(c, a)
	end, err := s.session(ctx, a, stop != nil)
	switch {
	case end != nil:
		return s.exited(ctx, c.ID, a, *end)
	case stop != nil:
		return errors.Join(err, s.sendAway(ctx, c, a))
	}
	if reason := s.lost(story, a); reason != "" {
		return errors.Join(err, s.giveUp(ctx, c.ID, a.N, reason, func(*call.Attempt) bool { return true }))
	}
	return err
}

// lost says why a bot that is wanted is given up, or nothing.
func (s *Scheduler) lost(story *bus.Story, a *call.Attempt) string {
	if most := s.Config.Agents[a.Agent].MaxRuntime; most > 0 && time.Since(a.StartingAt) > most {
		return "its max_runtime is over"
	}
	grace := leftGrace
	if _, ok := s.overseer(a); ok && handle(a) != "" {
		grace = leftSessionGrace
	}
	if at := leftAt(story, a.N); !at.IsZero() && time.Since(at) >= grace {
		return "it has left the room"
	}
	return ""
}

// session asks for the end of the bot's session, after having it stopped if it is to be; nil is that there is none yet, or
// nobody to ask.
func (s *Scheduler) session(ctx context.Context, a *call.Attempt, stop bool) (*remote.End, error) {
	place, ok := s.overseer(a)
	if !ok || handle(a) == "" {
		return nil, nil
	}
	if stop {
		if err := place.Stop(ctx, handle(a)); err != nil {
			return nil, err
		}
	}
	return place.Look(ctx, handle(a))
}

// sendAway puts a bot that is not wanted out of its room, and looks for the proof that it is gone: it has said so itself,
// or nobody sees it any more.
func (s *Scheduler) sendAway(ctx context.Context, c *call.State, a *call.Attempt) error {
	if err := s.eject(ctx, c.ID, a); err != nil {
		return err
	}
	if asked := c.EndAsked; asked != nil && asked.Data.GetAttempt() == a.N && asked.Data.GetReason() == "bot_ended" {
		return s.exited(ctx, c.ID, a, remote.End{Reason: "it has reported its end"})
	}
	place, ok := s.overseer(a)
	switch {
	case ok && handle(a) != "": // its session says when
		return nil
	case !a.Joined && a.Ready == nil && time.Since(a.StartingAt) < max(s.Config.Daily.PresenceSettle/2, s.Config.Agents[a.Agent].ReadyTimeout):
		return nil // it may be on its way
	}
	if seen, err := s.seen(ctx, c, a); err != nil || seen {
		return err
	}
	if ok {
		if alive, err := s.nameless(ctx, place, a); err != nil || alive {
			return err
		}
	}
	return s.exited(ctx, c.ID, a, remote.End{Status: -1, Reason: "ejected, and gone"})
}

// seen reports whether presence shows the bot in its room.
func (s *Scheduler) seen(ctx context.Context, c *call.State, a *call.Attempt) (bool, error) {
	present, err := s.Daily.RoomPresence(ctx, a.Room.GetRoom())
	if err != nil && !errors.Is(err, daily.ErrNotFound) {
		return false, fmt.Errorf("look for the bot: %w", err)
	}
	return slices.ContainsFunc(present, func(who daily.Participant) bool { return who.UserID == call.BotID(c.ID, a.N) }), nil
}

// nameless reports whether a session may be the bot's although no answer has named it: one that was begun at that time and
// is not known as another bot's.
func (s *Scheduler) nameless(ctx context.Context, place remote.Overseer, a *call.Attempt) (bool, error) {
	last := a.StartingAt.Add(startedWithin)
	if time.Now().Before(last) {
		return true, nil
	}
	ids, err := place.Alive(ctx, a.StartingAt.Add(-clockSkew), last.Add(clockSkew))
	if err != nil || len(ids) == 0 {
		return false, err
	}
	others, err := s.handles(ctx, a.Agent)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(ids, func(id string) bool { return !others[id] }), nil
}

// handles are the sessions that are known as bots' of an agent at Pipecat Cloud, by whatever names we call it.
func (s *Scheduler) handles(ctx context.Context, agent string) (map[string]bool, error) {
	known := map[string]bool{}
	for _, t := range s.ledger.seated() {
		if s.Config.Agents[t.Agent].Cloud() != s.Config.Agents[agent].Cloud() {
			continue
		}
		story, err := s.Bus.Story(ctx, t.CallID)
		if err != nil {
			return nil, err
		}
		if a := call.Read(story).Attempt(t.Attempt); a != nil {
			known[handle(a)] = true
		}
	}
	return known, nil
}

// overseer is the place of the attempt's bot, where it can be asked, and the configuration still names it.
func (s *Scheduler) overseer(a *call.Attempt) (remote.Overseer, bool) {
	agent, known := s.Config.Agents[a.Agent]
	if !known || agent.Backend != a.Starting.GetBackend() {
		return nil, false
	}
	place, ok := s.remotes.place(agent, a.Starting.GetSlot()).(remote.Overseer)
	return place, ok
}

// handle is what the bot's place calls it: as it has told us, or as the bot has when it claimed its call.
func handle(a *call.Attempt) string {
	if a.Started.GetHandle() != "" {
		return a.Started.GetHandle()
	}
	by, _ := a.ClaimedBy()
	return by
}

// leftAt is when the attempt's bot has left its room for good, as far as Daily has told, or zero.
func leftAt(story *bus.Story, attempt uint32) (at time.Time) {
	bot, in := call.BotID(story.CallID, attempt), map[string]bool{}
	for _, e := range story.Events {
		switch m := e.Data.(type) {
		case *callv1.ParticipantJoined:
			if m.GetUserId() == bot && story.Find(bus.Key(&callv1.ParticipantLeft{SessionId: m.GetSessionId()})) == nil {
				in[m.GetSessionId()] = true
			}
		case *callv1.ParticipantLeft:
			if m.GetUserId() == bot {
				at = e.Time
			}
		}
	}
	if len(in) > 0 {
		return time.Time{}
	}
	return at
}

// exited writes down that a bot without a keeper is gone, and gives its slot back.
func (s *Scheduler) exited(ctx context.Context, callID string, a *call.Attempt, end remote.End) error {
	if a.Starting == nil || a.Exited != nil {
		return nil
	}
	_, err := s.Bus.Publish(ctx, callID, &callv1.BotExited{Attempt: a.N, Status: int32(end.Status), Reason: end.Reason})
	if err != nil && !errors.Is(err, bus.ErrTaken) {
		return err
	}
	_, err = s.Slots.Free(ctx, a.Starting.GetSlot(), slots.Holder{CallID: callID, Attempt: a.N})
	return err // the next look frees it where a replica has not seen it yet
}
