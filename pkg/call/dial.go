// SPDX-License-Identifier: Apache-2.0

package call

import callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"

// PutOff is the cause of a dial that was not begun because policy no longer allowed it at that moment. The call waits for
// its turn again.
const PutOff = "put_off"

// NotDialled is the cause of a dial that Daily refused because nobody was in the room any more. Nobody was called, and
// the call is tried again at once, in its turn.
const NotDialled = "not_dialled"

// Lost is the cause of a dial of which nobody can tell what became.
const Lost = "lost"

// Waiting reports whether a dial-out waits for its turn: it has not been let begin yet, or is to be tried again.
func (s *State) Waiting() bool {
	if s.Requested == nil || s.Ended != nil {
		return false
	}
	failed := s.Failure()
	return s.Current().AskedAt.IsZero() || failed != nil && failed.DialFailed.GetCause() != NotDialled
}

// Dialling gives the attempt whose dial has not failed, or nil: somebody is being called, or is on the line.
func (s *State) Dialling() *Attempt {
	for i := len(s.Attempts) - 1; i >= 0; i-- {
		if a := s.Attempts[i]; a.Dial != nil {
			if a.DialFailed != nil {
				return nil
			}
			return a
		}
	}
	return nil
}

// Failure gives the attempt with whose failed dial the call stands, or nil: it has not been tried again since, in a room
// of its own.
func (s *State) Failure() *Attempt {
	for i := len(s.Attempts) - 1; i >= 0; i-- {
		a := s.Attempts[i]
		if a.DialFailed != nil {
			return a
		}
		if a.Place != callv1.Place_PLACE_SAME_ROOM {
			break
		}
	}
	return nil
}

// Callee gives the leg of the person whom the attempt has called, or nil while there is none. Where Daily's answer to the
// dial was lost, it is the first leg in the attempt's room.
func (s *State) Callee(a *Attempt) *Leg {
	if a.Dialled != nil {
		return s.Legs[a.Dialled.GetSessionId()]
	}
	var first *Leg
	for _, l := range s.Legs {
		if l.Attempt == a.N && l.N == 0 && (first == nil || l.Before(first)) {
			first = l
		}
	}
	return first
}

// Session is the session id of the person whom the attempt has called, or empty while it is not known.
func (s *State) Session(a *Attempt) string {
	if leg := s.Callee(a); leg != nil {
		return leg.Session
	}
	return a.Dialled.GetSessionId()
}

// Reached gives the leg of the called person who has answered, whether still there or not; or nil. A machine that took
// the call, and who answered when we were hanging up, are not reached.
func (s *State) Reached() *Leg {
	if s.Requested == nil {
		return nil
	}
	var first *Leg
	for _, l := range s.Legs {
		a := s.Attempt(l.Attempt)
		switch {
		case l.AnsweredAt.IsZero() || l.N > 0 || a == nil || a.DialFailed != nil:
		case a.Stopping != nil && l.AnsweredAt.After(a.StoppingAt):
		case first == nil || first.Gone && !l.Gone || first.Gone == l.Gone && l.Before(first):
			first = l
		}
	}
	return first
}

// Before orders legs by when they were first heard of.
func (l *Leg) Before(other *Leg) bool {
	return l.Since.Before(other.Since) || l.Since.Equal(other.Since) && l.Session < other.Session
}
