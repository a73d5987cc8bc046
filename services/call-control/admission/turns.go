// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"time"
)

// window is the time over which a rate holds: in any five seconds no more calls begin than five times the rate, rounded
// up. That is true where the clocks of the instances are within skew of one another. An account holds what is refilled
// in late, beyond one call: who comes to his look so much too late loses the line nothing.
const (
	window = 5 * time.Second
	late   = 400 * time.Millisecond
	skew   = 100 * time.Millisecond
)

// A line gives looks at times that are every apart: so often does it cost something to have calls wait, however many
// they are. Where a rate has them wait, it gives them at that rate. Nobody looks twice within pause.
const (
	every = 50 * time.Millisecond
	pause = 250 * time.Millisecond
)

// deserted is how long a line is waited for whose looks nobody comes to: those who lined up have ended.
const deserted = 2 * time.Second

// turns is the one document that says who has begun and how long others wait.
type turns struct {
	Holders  map[string]string `json:"holders"` // the agent of each call that has a place
	Scopes   map[string]*scope `json:"scopes"`  // of each agent that has limits; "" is all calls
	revision uint64
}

// scope is what is counted for all calls, or for an agent's.
type scope struct {
	Left float64   `json:"left"` // the calls that may begin
	At   time.Time `json:"at"`   // when so many were left
	Next time.Time `json:"next"` // the next free look; the line is empty when it is past
	Seen time.Time `json:"seen"` // when somebody last came to his look, or the first one of the line is due
}

// limit is the limits of a scope. 0 is no limit.
type limit struct {
	scope       string
	line        Turn   // that of those who wait for it
	prefix      string // of the names of its rules
	concurrent  int
	perSecond   float64
	burst, rate float64 // the most that its account holds, and what it is refilled with in a second
}

func newLimit(scope, prefix string, concurrent int, perSecond float64) limit {
	line := AgentTurn
	if scope == "" {
		line = AllTurn
	}
	return limit{
		scope: scope, line: line, prefix: prefix, concurrent: concurrent, perSecond: perSecond,
		burst: 1 + perSecond*late.Seconds(),
		rate:  perSecond * (window - late).Seconds() / (window + skew).Seconds(),
	}
}

func (l limit) none() bool { return l.concurrent <= 0 && l.perSecond <= 0 }

func (l limit) concurrency() string { return l.prefix + "concurrency" }

func (l limit) pace() string { return l.prefix + "rate" }

// whole is what counts as a call's worth, in an account of floating point.
const whole = 1 - 1e-6

// state is a scope as it is at a time.
type state struct {
	limit
	*scope
	now  time.Time
	held int
}

// look gives the scope of a limit as it is now. One that nobody has used is full of all that it allows.
func (t *turns) look(l limit, now time.Time) state {
	s := t.Scopes[l.scope]
	if s == nil {
		s = &scope{Left: l.burst, At: now}
		t.Scopes[l.scope] = s
	}
	if now.After(s.At) { // a clock that is behind must not refill twice
		s.Left, s.At = s.Left+l.rate*now.Sub(s.At).Seconds(), now
	}
	s.Left = min(s.Left, l.burst)
	held := len(t.Holders)
	if l.scope != "" {
		held = 0
		for _, agent := range t.Holders {
			if agent == l.scope {
				held++
			}
		}
	}
	return state{l, s, now, held}
}

func (s state) full() bool { return s.concurrent > 0 && s.held >= s.concurrent }

func (s state) short() bool { return s.perSecond > 0 && s.Left < whole }

// refill is how long it takes for so many calls.
func (s state) refill(calls float64) time.Duration {
	return time.Duration(calls / s.rate * float64(time.Second))
}

// step is the time between two looks.
func (s state) step() time.Duration {
	switch {
	case s.perSecond <= 0:
		return every
	case s.full():
		return max(every, s.refill(1))
	default:
		return s.refill(1)
	}
}

// waited reports whether others wait in the line whose turn is before that of somebody new.
func (s state) waited() bool {
	return s.Next.After(s.now) && !s.now.After(s.Seen.Add(deserted+2*s.step()))
}

// rule names what has a line wait, and tells of it.
func (s state) rule() (rule, detail string) {
	if s.perSecond <= 0 || s.full() {
		return s.concurrency(), fmt.Sprintf("%d of %d", s.held, s.concurrent)
	}
	return s.pace(), fmt.Sprintf("%g per second", s.perSecond)
}

// wait gives the last place in the line.
func (s state) wait() Answer {
	due := s.now
	if s.full() {
		due = s.now.Add(pause)
	} else if s.short() {
		due = s.now.Add(s.refill(1 - s.Left))
	}
	if !s.waited() {
		s.Next, s.Seen = due, due
	} else if s.Next.After(due) {
		due = s.Next
	}
	s.Next = due.Add(s.step())
	rule, detail := s.rule()
	return Answer{Again: due, Turn: s.line, Rule: rule, Detail: detail}
}

// ask lets a call begin, or gives it a place in the line of the first limit that does not. Nothing is taken from any
// account unless all of them allow it.
func (t *turns) ask(now time.Time, callID, agent string, turn Turn, limits []limit) Answer {
	if _, ok := t.Holders[callID]; ok {
		return Answer{Admitted: true}
	}
	states := make([]state, len(limits))
	for i, l := range limits {
		states[i] = t.look(l, now)
	}
	for _, s := range states {
		if turn >= s.line && s.Seen.Before(now) {
			s.Seen = now
		}
	}
	for _, s := range states {
		if s.full() || s.short() || turn < s.line && s.waited() {
			return s.wait()
		}
	}
	for _, s := range states {
		s.Left--
	}
	t.Holders[callID] = agent
	return Answer{Admitted: true}
}
