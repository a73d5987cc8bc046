// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// View is every call as it stands. It is made of the stream anew whenever the process starts.
type View struct {
	maxAge   time.Duration
	hub      *hub
	caughtUp chan struct{}

	mu      sync.RWMutex
	order   []*entry // by sequence of the first event
	byID    map[string]*entry
	running map[string]*entry // those that are not over
	last    uint64            // seen
}

// entry is one call.
type entry struct {
	seq   uint64
	call  atomic.Pointer[controlv1.Call] // as it stands: replaced, never changed
	state *call.State                    // until the call is over
}

// NewView makes an empty view that forgets calls older than the stream keeps them.
func NewView(maxAge time.Duration) *View { return newView(maxAge, hubKeeps) }

func newView(maxAge time.Duration, keeps int) *View {
	return &View{
		maxAge: maxAge, hub: newHub(keeps), caughtUp: make(chan struct{}),
		byID: map[string]*entry{}, running: map[string]*entry{},
	}
}

// See takes an event into account, and tells those who watch. Events must come in the stream's order.
func (v *View) See(e *bus.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = e.Seq
	known := v.byID[e.CallID]
	if known == nil {
		if known = begin(e); known == nil {
			return // the rest of a call whose beginning is no longer kept
		}
		v.forget(e.Time.Add(-v.maxAge))
		v.byID[e.CallID], v.running[e.CallID] = known, known
		v.order = append(v.order, known)
	}
	t := known.see(e)
	if known.state == nil {
		delete(v.running, e.CallID)
	}
	v.hub.put(t)
}

// CaughtUp says that all that was stored at the start has been seen. Until then nobody can watch.
func (v *View) CaughtUp() { close(v.caughtUp) }

// begin makes a call of its first event, which is not seen yet, and nothing of another.
func begin(e *bus.Event) *entry {
	switch e.Data.(type) {
	case *callv1.CallReceived, *callv1.CallRequested:
		return &entry{seq: e.Seq, state: call.New(e.CallID)}
	}
	return nil
}

// see takes an event of the call into account. What comes after the end changes nothing.
func (c *entry) see(e *bus.Event) *told {
	was := c.call.Load()
	if c.state != nil {
		c.state.Apply(e)
		c.call.Store(Describe(c.state))
		if c.state.Ended != nil {
			c.state = nil
		}
	}
	return newTold(e, was, c.call.Load())
}

func (v *View) forget(before time.Time) {
	for len(v.order) > 0 {
		old := v.order[0].call.Load()
		if !old.GetReceived().AsTime().Before(before) {
			return
		}
		delete(v.byID, old.GetId())
		delete(v.running, old.GetId())
		v.order = v.order[1:]
	}
}

// List gives up to n calls that began before a sequence and are wanted, the latest first, and the sequence at which to
// go on, 0 at the end.
func (v *View) List(n int, before uint64, wanted func(*controlv1.Call) bool) (calls []*controlv1.Call, next uint64) {
	v.mu.RLock()
	order := v.order // what is in it stays there: it can be gone through while events come
	v.mu.RUnlock()
	if before > 0 {
		order = order[:sort.Search(len(order), func(i int) bool { return order[i].seq >= before })]
	}
	for _, e := range slices.Backward(order) {
		c := e.call.Load()
		if !wanted(c) {
			continue
		}
		if len(calls) == n {
			return calls, next
		}
		calls, next = append(calls, proto.CloneOf(c)), e.seq
	}
	return calls, 0
}

// Running gives the calls that are not over, the oldest first, and the sequence of the last event that was seen. They
// must not be changed.
func (v *View) Running() (calls []*controlv1.Call, last uint64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, e := range slices.SortedFunc(maps.Values(v.running), func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) }) {
		calls = append(calls, e.call.Load())
	}
	return calls, v.last
}

// Describe makes of a call's state what is told about it.
func Describe(s *call.State) *controlv1.Call {
	c := &controlv1.Call{
		Id: s.ID, State: stateOf(s), Agent: s.Current().Agent, Attempts: s.Current().N,
		From: s.Received.GetFrom(), To: s.Received.GetTo(), Direction: controlv1.Direction_DIRECTION_DIAL_IN, Received: timestamppb.New(s.Began),
	}
	if r := s.Requested; r != nil {
		c.Direction, c.To, c.NotBefore, c.RequestedBy, c.Metadata = controlv1.Direction_DIRECTION_DIAL_OUT, r.GetTo(), r.GetNotBefore(), r.GetRequestedBy(), r.GetMetadata()
		c.Attempts = nextAttempt(s) - 1
		for _, a := range s.Attempts {
			if a.Dial != nil && !nobodyCalled(a) {
				c.Dials++
			}
			if a.DialFailed != nil {
				c.Cause = a.DialFailed.GetCause()
			}
		}
	}
	if s.Connected != nil && (s.Received != nil || s.Reached() != nil) { // with a machine is not with a person
		c.Connected = timestamppb.New(s.Connected.At)
	}
	if s.Ended != nil {
		c.Ended = timestamppb.New(s.Ended.At)
		c.Outcome, c.Reason, c.Detail = s.Ended.Data.GetOutcome(), s.Ended.Data.GetReason(), s.Ended.Data.GetDetail()
	}
	return c
}

func stateOf(s *call.State) controlv1.State {
	switch {
	case s.Ended != nil:
		return controlv1.State_STATE_ENDED
	case s.Requested != nil && s.Waiting():
		return controlv1.State_STATE_SCHEDULED
	case s.Connected != nil && (s.Received != nil || s.Reached() != nil):
		return controlv1.State_STATE_CONNECTED
	case s.Requested != nil && s.Dialling() != nil:
		return controlv1.State_STATE_DIALLING
	case s.Received != nil && (s.Current().Ready != nil || s.Forwarding() != nil):
		return controlv1.State_STATE_FORWARDING
	}
	return controlv1.State_STATE_WAITING
}
