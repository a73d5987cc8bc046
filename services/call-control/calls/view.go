// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"sort"
	"sync"
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
	maxAge time.Duration

	mu    sync.RWMutex
	order []*entry // by sequence of the first event
	byID  map[string]*entry
}

type entry struct {
	seq   uint64
	call  *controlv1.Call
	state *call.State // until the call is over
}

// NewView makes an empty view that forgets calls older than the stream keeps them.
func NewView(maxAge time.Duration) *View {
	return &View{maxAge: maxAge, byID: map[string]*entry{}}
}

// See takes an event into account. Events must come in the stream's order.
func (v *View) See(e *bus.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.byID[e.CallID]
	if known == nil {
		if _, first := e.Data.(*callv1.CallReceived); !first {
			return // the rest of a call whose beginning is no longer kept
		}
		known = &entry{seq: e.Seq, state: call.New(e.CallID)}
		v.byID[e.CallID] = known
		v.order = append(v.order, known)
		v.forget(e.Time.Add(-v.maxAge))
	}
	if known.state == nil {
		return
	}
	known.state.Apply(e)
	known.call = Describe(known.state)
	if known.state.Ended != nil {
		known.state = nil
	}
}

func (v *View) forget(before time.Time) {
	for len(v.order) > 0 && v.order[0].call != nil && v.order[0].call.GetReceived().AsTime().Before(before) {
		delete(v.byID, v.order[0].call.GetId())
		v.order = v.order[1:]
	}
}

// List gives up to n calls that began before a sequence, the latest first, and the sequence at which to go on, 0 at the
// end. A state that is not unspecified is the only one given.
func (v *View) List(n int, before uint64, state controlv1.State) (calls []*controlv1.Call, next uint64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	end := len(v.order)
	if before > 0 {
		end = sort.Search(len(v.order), func(i int) bool { return v.order[i].seq >= before })
	}
	for i := end - 1; i >= 0; i-- {
		e := v.order[i]
		if state != controlv1.State_STATE_UNSPECIFIED && e.call.GetState() != state {
			continue
		}
		if len(calls) == n {
			return calls, next
		}
		calls, next = append(calls, proto.CloneOf(e.call)), e.seq
	}
	return calls, 0
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
	if s.Connected != nil {
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
