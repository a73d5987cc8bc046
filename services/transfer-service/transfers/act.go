// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// permissionsWithin bounds a request for permissions, so that it is known when none can come in late.
const permissionsWithin = 10 * time.Second

// hangUpWithin bounds one try to hang up on somebody. It is tried again.
const hangUpWithin = 3 * time.Second

// String names an act, as the points do at which a process can be made to die.
func (v verb) String() string {
	return [...]string{"nothing", "dial", "move", "hang_up", "hold", "seclude", "restore", "silence"}[v]
}

// do does one thing outside, after what has been done. That it is done is for the call's story to show; that Daily does not
// want to is an answer.
func (x *Transfers) do(ctx context.Context, story *bus.Story, a act, done map[act]bool) error {
	v := view{x.Rules, call.Read(story), x.Now(), nil}
	switch a.does {
	case dial:
		return x.dial(ctx, story, a, done)
	case move:
		return x.move(ctx, story, a, done)
	case hangUp:
		return x.hangUp(ctx, v, a)
	case hold:
		return x.hold(ctx, v)
	case seclude:
		return x.seclude(ctx, v)
	case restore:
		return x.permit(ctx, v, v.callers(daily.Permissions{CanSend: true, CanReceive: hears()}))
	case silence:
		return x.silence(ctx, v)
	}
	return nil
}

// hangUp stops a dial, or ends the leg that it has become. What Daily clearly refuses to stop is sent out of the room.
func (x *Transfers) hangUp(ctx context.Context, v view, a act) error {
	room := v.room()
	if try := v.Transfers[a.n-1].Try(a.k); try != nil && try.Starting != nil {
		room = try.Starting.Data.GetRoom()
	}
	// What else there is to do does not wait for long.
	ctx, cancel := context.WithTimeout(ctx, hangUpWithin)
	defer cancel()
	session := v.OperatorSession(a.n, a.k)
	err := x.Daily.StopDialOut(ctx, room, session)
	switch {
	case errors.Is(err, daily.ErrNotFound):
		return nil
	case errors.Is(err, daily.ErrRefused):
		_, err = x.Daily.Eject(ctx, room, []string{session}, nil, false)
	}
	return err
}

// hold lets the caller hear the bot alone. Where Daily will not, or has not for as long as a number is waited for, a warm
// transfer cannot be.
func (x *Transfers) hold(ctx context.Context, v view) error {
	t := v.Transfer()
	late := t.Held == nil && v.now.After(t.Announced.At.Add(x.Rules.LostAfter))
	var err error
	if v.caller() == "" {
		if err = errors.New("nobody is in the room to be put on hold"); !late { // Daily may be about to tell
			return bus.RetryAfter(askAgain/4, err)
		}
	} else {
		bot := map[string]bool{call.BotID(v.ID, v.Current().N): true}
		err = x.update(ctx, v, v.callers(daily.Permissions{CanReceive: deaf(bot)}))
		if err == nil || !late && !errors.Is(err, daily.ErrRefused) && !errors.Is(err, daily.ErrNotFound) {
			return err
		}
	}
	_, failed := x.Bus.Decide(ctx, v.ID, func(story *bus.Story) (proto.Message, error) {
		if now := call.Read(story); now.Ended != nil || !now.Transfer().UnderWay() || now.Transfer().N != t.N || now.Transfer().Held != nil {
			return nil, nil
		}
		return &callv1.TransferFailed{N: t.N, Reason: NoHold, Detail: err.Error()}, nil
	})
	return failed
}

// seclude lets the caller hear nobody. Where Daily will not, nothing is told: the caller would hear it.
func (x *Transfers) seclude(ctx context.Context, v view) error {
	callers := v.callers(daily.Permissions{CanSend: false, CanReceive: deaf(nil)})
	if len(callers) == 0 {
		return nil
	}
	err := x.update(ctx, v, callers)
	if !errors.Is(err, daily.ErrRefused) && !errors.Is(err, daily.ErrNotFound) {
		return err
	}
	n := v.Transfer().N
	_, failed := x.Bus.Decide(ctx, v.ID, func(story *bus.Story) (proto.Message, error) {
		return unbriefed(call.Read(story), n, err.Error()), nil
	})
	return failed
}

// unbriefed has whoever has answered take the caller without having been told what it is about, or is nil where that is over.
func unbriefed(s *call.State, n uint32, detail string) proto.Message {
	t := s.Transfer()
	if try := t.Answer(); s.Ended == nil && t.UnderWay() && t.N == n && try != nil && try.Briefing == nil && try.Briefed == nil {
		return &callv1.TransferBriefed{N: n, K: try.K, Late: true, Detail: detail}
	}
	return nil
}

// silence lets the bot neither be heard nor hear. Which participant it is Daily has told, or presence shows; where neither
// does, it is not there yet.
func (x *Transfers) silence(ctx context.Context, v view) error {
	bot := v.bot()
	if bot == nil {
		return nil
	}
	session := bot.Session
	if session == "" {
		present, err := x.Daily.RoomPresence(ctx, v.room())
		if err != nil && !errors.Is(err, daily.ErrNotFound) {
			return err
		}
		for _, who := range present {
			if who.UserID == call.BotID(v.ID, bot.N) {
				session = who.ID
			}
		}
	}
	if session == "" {
		return nil
	}
	return x.permit(ctx, v, map[string]daily.Permissions{session: {CanSend: false, CanReceive: deaf(nil)}})
}

// callers gives each of the caller's legs the same permissions.
func (v view) callers(p daily.Permissions) map[string]daily.Permissions {
	all := map[string]daily.Permissions{}
	for _, l := range v.Callers() {
		if !l.Gone {
			all[l.Session] = p
		}
	}
	return all
}

// permit changes what participants may do, if there are any. What Daily refuses stays as it is.
func (x *Transfers) permit(ctx context.Context, v view, who map[string]daily.Permissions) error {
	if len(who) == 0 {
		return nil
	}
	err := x.update(ctx, v, who)
	if errors.Is(err, daily.ErrRefused) || errors.Is(err, daily.ErrNotFound) {
		x.Log.Warn("Daily does not change permissions", "call_id", v.ID, "err", err)
		return nil
	}
	return err
}

func (x *Transfers) update(ctx context.Context, v view, who map[string]daily.Permissions) error {
	ctx, cancel := context.WithTimeout(ctx, permissionsWithin)
	defer cancel()
	return x.Daily.UpdatePermissions(ctx, v.room(), who)
}

// deaf hears nobody but some.
func deaf(but map[string]bool) daily.CanReceive {
	if but == nil {
		but = map[string]bool{}
	}
	return daily.CanReceive{Base: proto.Bool(false), ByUserID: but, ByParticipantID: map[string]bool{}}
}

// hears hears everybody.
func hears() daily.CanReceive {
	return daily.CanReceive{Base: proto.Bool(true), ByUserID: map[string]bool{}, ByParticipantID: map[string]bool{}}
}
