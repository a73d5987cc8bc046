// SPDX-License-Identifier: Apache-2.0

package rooms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// expiryMargin is how much longer a room lasts than its call may: what clears up must find it.
const expiryMargin = 10 * time.Minute

// dialMargin is how long past its ring time a dial may take to be settled.
const dialMargin = 10 * time.Minute

// CallReceived makes the room of a call's first attempt.
func (p *Provisioner) CallReceived(ctx context.Context, in bus.In[*callv1.CallReceived]) error {
	return p.provide(ctx, call.Read(in.Story), 1, in.Data.GetAgent())
}

// AttemptRequested makes the room of a further attempt, or says that the caller's is the attempt's.
func (p *Provisioner) AttemptRequested(ctx context.Context, in bus.In[*callv1.AttemptRequested]) error {
	s := call.Read(in.Story)
	if !s.Begun() {
		return bus.Drop(errors.New("the call's beginning is not known"))
	}
	if in.Data.GetPlace() == callv1.Place_PLACE_SAME_ROOM {
		return p.reuse(ctx, s, in.Data)
	}
	return p.provide(ctx, s, in.Data.GetAttempt(), in.Data.GetAgent())
}

// provide may run again at any time: the room has a name of its own, and the second create finds the first.
func (p *Provisioner) provide(ctx context.Context, s *call.State, attempt uint32, agent string) error {
	name := call.RoomName(s.ID, attempt)
	expires := time.Now().Add(lasts(s) + expiryMargin)
	room, _, err := p.Daily.EnsureRoom(ctx, daily.CreateRoom{Name: name, Privacy: p.Config.Daily.Privacy, Properties: p.properties(s, attempt, agent, expires)})
	switch {
	case errors.Is(err, daily.ErrRefused):
		return p.fail(ctx, s.ID, attempt, err.Error())
	case err != nil:
		return fmt.Errorf("room for attempt %d: %w", attempt, err)
	case room.SIPURI() == "" && s.Received != nil:
		return p.fail(ctx, s.ID, attempt, "Daily gave a room without a SIP address")
	}
	if until := room.Expires(); !until.IsZero() { // somebody else's, found under the name, may stay for ever
		expires = until
	}
	_, err = p.Bus.Publish(ctx, s.ID, &callv1.RoomReady{
		Attempt: attempt, Room: room.Name, RoomUrl: room.URL, SipUri: room.SIPURI(), Agent: agent, Expires: timestamppb.New(expires),
	})
	return err
}

// lasts is how long the room of an attempt can be needed.
func lasts(s *call.State) time.Duration {
	longest := s.AnswerBudget() + s.MaxDuration()
	if s.Requested != nil { // the dial may be in doubt for a while
		longest += s.Requested.GetRingTimeout().AsDuration() + dialMargin
	}
	return longest
}

// properties are those of a room that takes the call: one that is called into has an address, and one that calls has not,
// for an address counts as one of the few legs that a room may have. Where callers can be handed over, people can be dialled
// into the room; where they may then be without a bot, the room keeps them.
func (p *Provisioner) properties(s *call.State, attempt uint32, agent string, expires time.Time) daily.RoomProperties {
	person := s.Attempt(attempt) != nil && s.Attempt(attempt).Place == callv1.Place_PLACE_PERSON
	targets := p.Config.Agents[agent].Targets // an agent that is no longer configured has none
	alone := slices.ContainsFunc(targets, func(name string) bool { return p.Config.Targets[name].BotLeaves })
	idle := int(p.Config.Daily.MaxIdleTimeout.Seconds())
	if person || alone {
		idle = max(idle, int(math.Ceil(s.MaxDuration().Seconds())))
	}
	properties := daily.RoomProperties{
		Exp: expires.Unix(), EjectAtRoomExp: true, Geo: p.Config.Daily.Geo, StartVideoOff: true,
		EnableChat: proto.Bool(false), EnablePrejoinUI: proto.Bool(false), EnableEmojiReactions: proto.Bool(false),
		DialoutConfig: &daily.DialoutConfig{MaxIdleTimeoutSec: idle, AllowRoomStart: person},
		EnableDialout: s.Requested != nil || person || len(targets) > 0,
	}
	if s.Requested != nil {
		return properties
	}
	properties.SIP = &daily.SIP{
		DisplayName: cmp.Or(s.Received.GetFrom(), p.Config.Daily.SIPDisplayName), Mode: daily.SIPDialIn, NumEndpoints: 1,
		DialinConfig: &daily.DialinConfig{MaxIdleTimeoutSec: idle, AllowRoomStart: person, HoldMusicEnabled: person},
	}
	return properties
}

func (p *Provisioner) reuse(ctx context.Context, s *call.State, wanted *callv1.AttemptRequested) error {
	for _, a := range s.Attempts {
		reached := s.Reached()
		if a.Room != nil && (a.Forward != nil && a.ForwardFailed == nil || a == s.Dialling() || reached != nil && reached.Attempt == a.N) {
			room := proto.CloneOf(a.Room)
			room.Attempt, room.Agent, room.Resumed = wanted.GetAttempt(), wanted.GetAgent(), true
			_, err := p.Bus.Publish(ctx, s.ID, room)
			return err
		}
	}
	return p.fail(ctx, s.ID, wanted.GetAttempt(), "the caller is in no room")
}

func (p *Provisioner) fail(ctx context.Context, callID string, attempt uint32, reason string) error {
	_, err := p.Bus.Publish(ctx, callID, &callv1.RoomFailed{Attempt: attempt, Reason: reason})
	return err
}
