// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/timer"
)

// heartbeatTimer asks whether a bot that has sent heartbeats is lost.
const heartbeatTimer = "heartbeat"

// heartbeat tells a bot whether it is still wanted. Where its agent says so, it has to come again in time.
func (s *Scheduler) heartbeat(ctx context.Context, who speaker, _ struct{}) (any, error) {
	story, err := s.Bus.Story(ctx, who.callID)
	if err != nil {
		return nil, err
	}
	c := call.Read(story)
	if err := valid(c, who.attempt); err != nil {
		return nil, err
	}
	if within := s.Config.Agents[c.Attempt(who.attempt).Agent].Heartbeat; within > 0 {
		id := timer.ID{Name: heartbeatTimer, CallID: who.callID, N: who.attempt}
		if err := s.Timers.Set(ctx, id, time.Now().Add(within)); err != nil {
			return nil, err
		}
	}
	return map[string]bool{"ok": true}, nil
}

// HeartbeatMissed gives a bot up of which no heartbeat has come in time. While nobody was there to hear one, none was
// missed.
func (s *Scheduler) HeartbeatMissed(ctx context.Context, f timer.Fired) error {
	story, err := s.Bus.Story(ctx, f.CallID)
	if err != nil {
		return err
	}
	c := call.Read(story)
	if valid(c, f.N) != nil {
		return nil
	}
	within := s.Config.Agents[c.Attempt(f.N).Agent].Heartbeat
	if within == 0 { // no longer expected
		return nil
	}
	if wait := time.Until(s.began.Add(within)); wait > 0 {
		return s.Timers.Set(ctx, f.ID, time.Now().Add(wait))
	}
	ctx = bus.WithCause(ctx, "timer."+f.ID.String())
	return s.giveUp(ctx, f.CallID, f.N, "heartbeat missed", func(*call.Attempt) bool { return true })
}
