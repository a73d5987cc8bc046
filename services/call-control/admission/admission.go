// SPDX-License-Identifier: Apache-2.0

// Package admission says which dial-outs may begin now: within the caps on calls at a time and on calls per second, in
// all and for each agent, and within the limit on dials of one number. All instances together keep to them exactly, for
// every answer is a write, by compare-and-set, to what was judged.
package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
)

// Bucket is the key-value bucket of the turns and of the dials of each number.
var Bucket = jetstream.KeyValueConfig{
	Bucket: "dialouts", Description: "Which dial-outs have begun, and how often a number was dialled", History: 1, LimitMarkerTTL: time.Minute,
}

// Limits are the caps on dial-outs. 0 is no limit.
type Limits struct {
	Concurrent int
	PerSecond  float64
	Agents     map[string]AgentLimits
	// PerNumber is how often a number is dialled within Window.
	PerNumber int
	Window    time.Duration
}

// AgentLimits are the caps on the dial-outs of one agent. 0 is no limit.
type AgentLimits struct {
	Concurrent int
	PerSecond  float64
}

// Answer is what a call is told that asks for its turn.
type Answer struct {
	Admitted bool
	// Again is when to ask again, and Turn what to say then.
	Again time.Time
	Turn  Turn
	// Rule is what has the call wait: concurrency, rate, agent_concurrency or agent_rate.
	Rule string
	// Detail is for people, such as "50 of 50".
	Detail string
}

// Turn is the line in which a call has waited for its look. Who has waited for all need not wait for his agent again.
type Turn int

// The lines.
const (
	NoTurn    Turn = iota // none: the call is new
	AgentTurn             // that of the agent's calls
	AllTurn               // that of all calls
)

// Admission lets dial-outs begin.
type Admission struct {
	js     jetstream.JetStream
	kv     jetstream.KeyValue
	limits Limits
	now    func() time.Time

	queue   sync.Mutex
	waiting []*change // for the next write, in the order in which they came

	mu    sync.Mutex // a process does not compete with itself
	known *turns     // as this process last wrote them; nil if it has to read them

	dials sync.Mutex
}

// Open opens the bucket.
func Open(ctx context.Context, js jetstream.JetStream, limits Limits, now func() time.Time) (*Admission, error) {
	kv, err := js.KeyValue(ctx, Bucket.Bucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket.Bucket, err)
	}
	return &Admission{js: js, kv: kv, limits: limits, now: now}, nil
}

// of gives the limits that a call of an agent's comes under, its agent's first: who waits for his agent is in nobody
// else's way.
func (a *Admission) of(agent string) (limits []limit) {
	own := a.limits.Agents[agent]
	for _, l := range []limit{
		newLimit(agent, "agent_", own.Concurrent, own.PerSecond),
		newLimit("", "", a.limits.Concurrent, a.limits.PerSecond),
	} {
		if !l.none() {
			limits = append(limits, l)
		}
	}
	return limits
}

// Ask asks for a call's turn: it has a place from then on, or is told when to ask again, with turn set. Nobody new is
// tried while a look that was given out is still to come. Who finds no place at his look goes to the end of the line: a
// place that gets free is for the next who looks. Where only a rate has calls wait, they begin in the order in which
// they asked.
//
// A call that has a place is told so again and takes nothing more. What nothing limits is not counted. What is said here
// of calls holds for whatever else needs a place and has a name of its own; of no agent, it is counted among all.
func (a *Admission) Ask(ctx context.Context, callID, agent string, turn Turn) (answer Answer, err error) {
	limits := a.of(agent)
	if len(limits) == 0 {
		return Answer{Admitted: true}, nil
	}
	err = a.change(ctx, func(t *turns) { answer = t.ask(a.now(), callID, agent, turn, limits) })
	if err != nil {
		return Answer{}, fmt.Errorf("ask for the turn of call %s: %w", callID, err)
	}
	return answer, nil
}

// Release gives places back. To give back none is no error.
func (a *Admission) Release(ctx context.Context, holders ...string) error {
	if len(a.of("")) == 0 && len(a.limits.Agents) == 0 {
		return nil
	}
	err := a.change(ctx, func(t *turns) {
		for _, holder := range holders {
			delete(t.Holders, holder)
		}
	})
	if err != nil {
		return fmt.Errorf("release the places of %s: %w", strings.Join(holders, ", "), err)
	}
	return nil
}

// Holders gives the calls that have a place, each with its agent.
func (a *Admission) Holders(ctx context.Context) (map[string]string, error) {
	t, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	return maps.Clone(t.Holders), nil
}

// change is one of the turns that is to be made.
type change struct {
	make func(*turns)
	made bool
}

// change changes the turns. What comes while another change is written goes into the next write together.
func (a *Admission) change(ctx context.Context, f func(*turns)) error {
	mine := &change{make: f}
	a.queue.Lock()
	a.waiting = append(a.waiting, mine)
	a.queue.Unlock()

	a.mu.Lock()
	defer a.mu.Unlock()
	if mine.made {
		return nil
	}
	a.queue.Lock()
	all := a.waiting
	a.waiting = nil
	a.queue.Unlock()
	err := a.write(ctx, func(t *turns) {
		for _, c := range all {
			c.make(t)
		}
	})
	if err != nil { // it may be this call's alone, such as its context's end: the others try for themselves
		all = slices.DeleteFunc(all, func(c *change) bool { return c == mine })
		a.queue.Lock()
		a.waiting = append(all, a.waiting...)
		a.queue.Unlock()
		return err
	}
	for _, c := range all {
		c.made = true
	}
	return nil
}

// write makes a change and writes it, even if it has changed nothing: what was read, or is known, may be old, and the
// write is the proof that it was not.
func (a *Admission) write(ctx context.Context, f func(*turns)) error {
	for {
		t := a.known
		if a.known = nil; t == nil {
			var err error
			if t, err = a.read(ctx); err != nil {
				return err
			}
		}
		f(t)
		data, err := json.Marshal(t)
		if err != nil {
			return err
		}
		var revision uint64
		err = bus.Answered(ctx, func() (err error) {
			if t.revision == 0 {
				revision, err = a.kv.Create(ctx, turnsKey, data)
			} else {
				revision, err = a.kv.Update(ctx, turnsKey, data, t.revision)
			}
			return err
		})
		if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue // another instance was first
		}
		if err != nil {
			return err
		}
		t.revision, a.known = revision, t
		return nil
	}
}

const turnsKey = "turns"

func (a *Admission) read(ctx context.Context) (*turns, error) {
	t := &turns{}
	e, err := a.kv.Get(ctx, turnsKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
	case err != nil:
		return nil, fmt.Errorf("read the turns: %w", err)
	default:
		if err := json.Unmarshal(e.Value(), t); err != nil {
			return nil, fmt.Errorf("the turns: %w", err)
		}
		t.revision = e.Revision()
	}
	if t.Holders == nil {
		t.Holders = map[string]string{}
	}
	if t.Scopes == nil {
		t.Scopes = map[string]*scope{}
	}
	return t, nil
}
