// SPDX-License-Identifier: Apache-2.0

package rooms

import (
	"context"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// leaveGrace is how long bots may take to leave by themselves, as they do when the caller hangs up. It spares a request
// for nearly every call.
const leaveGrace = 5 * time.Second

// CallEnded sends everybody out of the call's rooms.
func (p *Provisioner) CallEnded(ctx context.Context, in bus.In[*callv1.CallEnded]) error {
	s := call.Read(in.Story)
	if left := leaveGrace - time.Since(in.Time); left > 0 && onlyBots(s) && unseen(s) == "" {
		return bus.RetryAfter(min(left, time.Second), nil)
	}
	if err := p.clear(ctx, s); err != nil {
		return err
	}
	released := &callv1.RoomReleased{}
	for room := range occupied(s) {
		released.Rooms = append(released.Rooms, room)
	}
	_, err := p.Bus.Publish(ctx, in.CallID, released)
	return err
}

// LegConnected sends a leg out that comes after its call's end.
func (p *Provisioner) LegConnected(ctx context.Context, in bus.In[*callv1.LegConnected]) error {
	end := in.Story.Find(bus.Key(&callv1.CallEnded{}))
	if end == nil || in.Seq < end.Seq || call.Read(in.Story).Legs[in.Data.GetSessionId()].Gone {
		return nil
	}
	if _, err := p.Daily.Eject(ctx, in.Data.GetRoom(), []string{in.Data.GetSessionId()}, nil, false); err != nil {
		return fmt.Errorf("send a late leg out: %w", err)
	}
	return nil
}

// clear ejects whom the record shows in the call's rooms. Where a caller was forwarded and never seen, nobody can be
// named, and the room is deleted, which sends everybody out.
func (p *Provisioner) clear(ctx context.Context, s *call.State) error {
	hidden := unseen(s)
	if hidden != "" {
		if _, err := p.Daily.DeleteRooms(ctx, []string{hidden}); err != nil {
			return fmt.Errorf("delete room: %w", err)
		}
	}
	for room, who := range occupied(s) {
		if len(who.legs)+len(who.bots) == 0 || room == hidden {
			continue
		}
		if _, err := p.Daily.Eject(ctx, room, who.legs, who.bots, false); err != nil {
			return fmt.Errorf("eject: %w", err)
		}
	}
	return nil
}

type occupants struct{ legs, bots []string }

// occupied gives every room that the call has had, with those who are in it as far as the record shows.
func occupied(s *call.State) map[string]occupants {
	rooms := map[string]occupants{}
	for _, a := range s.Attempts {
		if a.Room == nil {
			continue
		}
		in := rooms[a.Room.GetRoom()]
		if a.Starting != nil && a.Exited == nil {
			in.bots = append(in.bots, call.BotID(s.ID, a.N))
		}
		rooms[a.Room.GetRoom()] = in
	}
	for _, leg := range s.Legs {
		if in := rooms[leg.Room]; !leg.Gone {
			in.legs = append(in.legs, leg.Session)
			rooms[leg.Room] = in
		}
	}
	for _, dialled := range ringing(s) {
		in := rooms[dialled.room]
		in.legs = append(in.legs, dialled.session)
		rooms[dialled.room] = in
	}
	return rooms
}

// dialled is somebody who was dialled for a transfer, and of whom there has been no other word.
type dialled struct{ room, session string }

func ringing(s *call.State) (who []dialled) {
	for _, t := range s.Transfers {
		for _, try := range t.Tries {
			if try.Starting == nil || try.Started == nil || try.Missed != nil || s.Operator(t.N, try.K) != nil {
				continue
			}
			if session := try.Started.Data.GetSessionId(); session != "" {
				who = append(who, dialled{try.Starting.Data.GetRoom(), session})
			}
		}
	}
	return who
}

// onlyBots reports whether nobody but bots is left in the call's rooms, and such a bot is.
func onlyBots(s *call.State) bool {
	bots, legs := 0, 0
	for _, who := range occupied(s) {
		bots, legs = bots+len(who.bots), legs+len(who.legs)
	}
	return bots > 0 && legs == 0
}

// unseen gives the room in which somebody may be of whom there has been no word: a caller who was forwarded, or somebody
// who may have been dialled. Empty is none.
func unseen(s *call.State) string {
	if room := unseenCaller(s); room != "" {
		return room
	}
	for _, a := range s.Attempts {
		if a.Dial != nil && a.Dialled == nil && s.Callee(a) == nil && (a.DialFailed == nil || a.DialFailed.GetCause() == call.Lost) {
			return a.Dial.GetRoom()
		}
	}
	return unseenOperator(s)
}

// unseenCaller gives the room into which a caller was forwarded of whom there has been no word.
func unseenCaller(s *call.State) string {
	if s.Forwarded != nil && len(s.Callers()) == 0 {
		return s.Forwarded.Data.GetRoom()
	}
	return ""
}

// unseenOperator gives the room into which somebody may have been dialled for a transfer.
func unseenOperator(s *call.State) string {
	for _, t := range s.Transfers {
		if t.Asked != nil && t.Moves() { // nobody is dialled into a room
			continue
		}
		for _, try := range t.Tries {
			if try.Starting != nil && try.Started == nil && s.Operator(t.N, try.K) == nil &&
				(try.Missed == nil || try.Missed.Data.GetCause() == call.Lost) {
				return try.Starting.Data.GetRoom()
			}
		}
	}
	return ""
}
