// SPDX-License-Identifier: Apache-2.0

package call

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Transfer is one handing over of the caller.
type Transfer struct {
	N         uint32
	Asked     *Mark[*callv1.TransferRequested]
	Announced *Mark[*callv1.TransferAnnounced]
	Held      *Mark[*callv1.TransferHeld]
	Tries     []*Try // by number, from 1; as far as they have been begun
	Completed *Mark[*callv1.TransferCompleted]
	Failed    *Mark[*callv1.TransferFailed]
	Cancelled *Mark[*callv1.TransferCancelled]
}

// Try is one number that is tried.
type Try struct {
	K        uint32
	Starting *Mark[*callv1.TransferStarting]
	Started  *Mark[*callv1.TransferStarted]
	Stopping *Mark[*callv1.TransferStopping]
	Answered *Mark[*callv1.TransferAnswered]
	Briefing *Mark[*callv1.TransferBriefing]
	Briefed  *Mark[*callv1.TransferBriefed]
	Missed   *Mark[*callv1.TransferMissed]
}

// Transfer gives the call's latest transfer, or nil.
func (s *State) Transfer() *Transfer {
	if len(s.Transfers) == 0 {
		return nil
	}
	return s.Transfers[len(s.Transfers)-1]
}

// UnderWay reports whether the transfer may still come to something.
func (t *Transfer) UnderWay() bool {
	return t != nil && t.Asked != nil && t.Completed == nil && t.Failed == nil && t.Cancelled == nil
}

// Done reports whether the caller has been handed over.
func (t *Transfer) Done() bool { return t != nil && t.Completed != nil }

// Moves reports whether the transfer takes the caller out of the room.
func (t *Transfer) Moves() bool {
	mode := t.Asked.Data.GetMode()
	return mode == config.ModeBlind || mode == config.ModeRefer
}

// Try gives a try by its number, or nil.
func (t *Transfer) Try(k uint32) *Try {
	if k < 1 || int(k) > len(t.Tries) {
		return nil
	}
	return t.Tries[k-1]
}

// Answer gives the try that has been answered and is the one, unless it was missed after all; or nil.
func (t *Transfer) Answer() *Try {
	if t == nil {
		return nil
	}
	for _, try := range t.Tries {
		if try.Answered != nil && try.Missed == nil {
			return try
		}
	}
	return nil
}

// Handover gives the transfer by which the caller was last handed over, or nil. One after it that is under way, or has
// come to nothing, leaves them with whom they talk to.
func (s *State) Handover() *Transfer {
	for _, t := range slices.Backward(s.Transfers) {
		if t.Done() {
			return t
		}
	}
	return nil
}

// HandedTo gives the leg of the person to whom the caller has been handed over, in the call's room; or nil.
func (s *State) HandedTo() *Leg {
	t := s.Handover()
	if t == nil || t.Completed.Data.GetMoved() {
		return nil
	}
	return s.Operator(t.N, t.Completed.Data.GetK())
}

// Operator gives the leg of who was dialled in try k of transfer n, or nil while there is none.
func (s *State) Operator(n, k uint32) *Leg {
	var found *Leg
	for _, l := range s.Legs {
		if l.N == n && l.K == k && (found == nil || found.Gone && !l.Gone || found.Gone == l.Gone && l.Before(found)) {
			found = l
		}
	}
	return found
}

// OperatorSession is the session id of who was dialled in try k of transfer n, or empty while it is not known.
func (s *State) OperatorSession(n, k uint32) string {
	if l := s.Operator(n, k); l != nil {
		return l.Session
	}
	if n < 1 || int(n) > len(s.Transfers) {
		return ""
	}
	if t := s.Transfers[n-1].Try(k); t != nil && t.Started != nil {
		return t.Started.Data.GetSessionId()
	}
	return ""
}

// Leaving gives the transfer that has begun to take the caller out of the room and has not failed, or nil: that the caller's
// leg is gone means that it has been moved.
func (s *State) Leaving() *Transfer {
	t := s.Transfer()
	if t == nil || t.Asked == nil || !t.Moves() || t.Failed != nil || t.Cancelled != nil {
		return nil
	}
	for _, try := range t.Tries {
		if try.Starting != nil && try.Missed == nil {
			return t
		}
	}
	return nil
}

// Bridged reports whether the caller talks to a person, and a bot is there, if at all, to hold the room.
func (s *State) Bridged() bool {
	t := s.Handover()
	return t != nil && !t.Completed.Data.GetMoved()
}

// Moved gives the transfer that has taken the caller out of the room, or nil: what becomes of that is Daily's.
func (s *State) Moved() *Transfer {
	if t := s.Handover(); t != nil && t.Completed.Data.GetMoved() {
		return t
	}
	return nil
}

// AwaitsPerson reports whether the caller is to meet a person without a bot, and has not yet.
func (s *State) AwaitsPerson() bool {
	return s.Current().Place == callv1.Place_PLACE_PERSON && s.Handover() == nil
}

// WantsBot reports whether there is to be a bot in the call: where the caller is to meet a person, or was handed over to
// be without one, there is not.
func (s *State) WantsBot() bool {
	if s.Current().Place == callv1.Place_PLACE_PERSON {
		return false
	}
	t := s.Handover()
	return t == nil || !t.Completed.Data.GetMoved() && (t.Asked == nil || !t.Asked.Data.GetBotLeaves())
}

// OperatorIn reports whether somebody who was dialled for a transfer is in a room of the call.
func (s *State) OperatorIn() bool {
	for _, l := range s.Legs {
		if l.N > 0 && !l.Gone {
			return true
		}
	}
	return false
}

// DialledAs gives the transfer's number and the try's of a session that was dialled for a transfer, and 0 of another.
func (s *State) DialledAs(session string) (n, k uint32) {
	as := s.dialled[session]
	return as.n, as.k
}

// OwnWay reports whether a bot's leaving at a time, or its wish that the call end, was about itself alone: the caller was
// being handed over, or had been.
func (s *State) OwnWay(at time.Time) bool {
	for _, t := range s.Transfers {
		if t.Asked == nil || at.Before(t.Asked.At) {
			continue
		}
		switch {
		case t.Failed != nil && !at.Before(t.Failed.At), t.Cancelled != nil && !at.Before(t.Cancelled.At):
		default:
			return true
		}
	}
	return false
}

func (s *State) applyTransfer(e *bus.Event) {
	switch m := e.Data.(type) {
	case *callv1.TransferRequested:
		s.transfer(m.GetN()).Asked = mark(e, m)
	case *callv1.TransferAnnounced:
		s.transfer(m.GetN()).Announced = mark(e, m)
	case *callv1.TransferHeld:
		s.transfer(m.GetN()).Held = mark(e, m)
	case *callv1.TransferBriefing:
		s.try(m).Briefing = mark(e, m)
	case *callv1.TransferBriefed:
		s.try(m).Briefed = mark(e, m)
	case *callv1.TransferCompleted:
		s.transfer(m.GetN()).Completed = mark(e, m)
	case *callv1.TransferFailed:
		s.transfer(m.GetN()).Failed = mark(e, m)
	case *callv1.TransferCancelled:
		s.transfer(m.GetN()).Cancelled = mark(e, m)
	case *callv1.TransferStarting:
		s.try(m).Starting = mark(e, m)
	case *callv1.TransferStarted:
		s.try(m).Started = mark(e, m)
		s.dialledAs(m.GetSessionId(), try{m.GetN(), m.GetK()})
	case *callv1.TransferStopping:
		s.try(m).Stopping = mark(e, m)
	case *callv1.TransferAnswered:
		s.try(m).Answered = mark(e, m)
	case *callv1.TransferMissed:
		s.try(m).Missed = mark(e, m)
	case *callv1.LegTransfer:
		if rank(m.GetState()) > rank(s.told[m.GetSessionId()]) {
			s.told[m.GetSessionId()] = m.GetState()
		}
	}
}

func mark[T any](e *bus.Event, data T) *Mark[T] { return &Mark[T]{e.Time, data} }

// Told is what Daily has told last of a leg that is being sent away: triggered, initiated, answered or completed. Empty is
// nothing.
func (s *State) Told(session string) string { return s.told[session] }

func rank(state string) int {
	return slices.Index([]string{"", "triggered", "initiated", "answered", "completed"}, state)
}

// transfer gives a transfer by number, adding it, and those before it, where they are missing.
func (s *State) transfer(n uint32) *Transfer {
	n = min(max(n, 1), maxAttempts)
	for uint32(len(s.Transfers)) < n {
		s.Transfers = append(s.Transfers, &Transfer{N: uint32(len(s.Transfers)) + 1})
	}
	return s.Transfers[n-1]
}

// try gives the try of which an event tells.
func (s *State) try(m interface {
	GetN() uint32
	GetK() uint32
},
) *Try {
	t, k := s.transfer(m.GetN()), min(max(m.GetK(), 1), maxAttempts)
	for uint32(len(t.Tries)) < k {
		t.Tries = append(t.Tries, &Try{K: uint32(len(t.Tries)) + 1})
	}
	return t.Tries[k-1]
}

// try names one, by the number of its transfer and its own.
type try struct{ n, k uint32 }

// dialledAs takes note of the session of who was dialled.
func (s *State) dialledAs(session string, as try) {
	if session == "" {
		return
	}
	s.dialled[session] = as
	if l := s.Legs[session]; l != nil {
		l.N, l.K = as.n, as.k
	}
}

// OperatorID is the user id at Daily of who is dialled in try k of transfer n: at most 36 characters.
func OperatorID(callID string, n, k uint32) string { return fmt.Sprintf("%s-t%d.%d", callID, n, k) }

var operatorID = regexp.MustCompile(`^([a-z2-7]{26})-t([1-9][0-9]{0,2})[.]([1-9][0-9]{0,2})$`)

// ParseOperator takes such a user id apart. Anybody else's is not ok.
func ParseOperator(userID string) (callID string, n, k uint32, ok bool) {
	callID, as, ok := parseOperator(userID)
	return callID, as.n, as.k, ok
}

// IsOperator reports whether a user id is that of somebody who was dialled for a transfer.
func IsOperator(userID string) bool { return operatorID.MatchString(userID) }

// parseOperator takes such a user id apart. Anybody else's is not ok.
func parseOperator(userID string) (callID string, as try, ok bool) {
	m := operatorID.FindStringSubmatch(userID)
	if m == nil {
		return "", try{}, false
	}
	n, _ := strconv.ParseUint(m[2], 10, 32) // three digits at the most
	k, _ := strconv.ParseUint(m[3], 10, 32)
	return m[1], try{uint32(n), uint32(k)}, true
}
