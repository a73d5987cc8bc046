// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
)

// describe tells a transfer of a call, or nothing of none.
func describe(story *bus.Story, s *call.State, t *call.Transfer) *transferv1.Transfer {
	if t == nil || t.Asked == nil {
		return nil
	}
	m := t.Asked.Data
	told := &transferv1.Transfer{
		Call: s.ID, N: t.N, Target: m.GetTarget(), Mode: m.GetMode(), State: stateOf(t), Summary: m.GetSummary(), Announcement: m.GetAnnouncement(),
		BotLeaves: m.GetBotLeaves() || t.Moves(), RequestedBy: m.GetRequestedBy(), Requested: timestamppb.New(t.Asked.At), Revision: revision(story, s, t),
	}
	switch {
	case t.Completed != nil:
		told.Finished, told.Moved = timestamppb.New(t.Completed.At), t.Completed.Data.GetMoved()
		if told.Moved {
			told.Told = s.Told(t.Tries[t.Completed.Data.GetK()-1].Starting.Data.GetSessionId())
		}
	case t.Failed != nil:
		told.Finished, told.Reason, told.Detail = timestamppb.New(t.Failed.At), t.Failed.Data.GetReason(), t.Failed.Data.GetDetail()
		told.Message = m.GetMessage()
	case t.Cancelled != nil:
		told.Finished, told.Reason, told.Detail = timestamppb.New(t.Cancelled.At), t.Cancelled.Data.GetReason(), t.Cancelled.Data.GetDetail()
	}
	for i, number := range m.GetNumbers() {
		if try := t.Try(uint32(i + 1)); try != nil && (try.Starting != nil || try.Missed != nil) {
			told.Legs = append(told.Legs, describeTry(s, t, try, number.GetTo(), number.GetTarget()))
		}
	}
	return told
}

func stateOf(t *call.Transfer) transferv1.State {
	switch try := t.Answer(); {
	case t.Completed != nil:
		return transferv1.State_STATE_COMPLETED
	case t.Failed != nil:
		return transferv1.State_STATE_FAILED
	case t.Cancelled != nil:
		return transferv1.State_STATE_CANCELLED
	case t.Announced == nil:
		return transferv1.State_STATE_REQUESTED
	case try != nil && try.Briefing != nil && try.Briefed == nil:
		return transferv1.State_STATE_BRIEFING
	}
	return transferv1.State_STATE_RINGING
}

func describeTry(s *call.State, t *call.Transfer, try *call.Try, to, target string) *transferv1.Leg {
	told := &transferv1.Leg{K: try.K, To: to, Target: target, State: "dialling"}
	switch {
	case try.Missed != nil:
		told.State, told.Cause, told.Detail = "missed", try.Missed.Data.GetCause(), try.Missed.Data.GetDetail()
	case try.Answered != nil:
		told.State = "answered"
	case s.Operator(t.N, try.K) != nil:
		told.State = "ringing"
	}
	return told
}

// revision is the place in the stream of the last event that changed what is told of a transfer.
func revision(story *bus.Story, s *call.State, t *call.Transfer) (last uint64) {
	for _, e := range story.Events {
		switch m := e.Data.(type) {
		case interface {
			GetN() uint32
			GetSessionId() string
		}: // of a try
			if m.GetN() == t.N {
				last = e.Seq
			}
		case interface{ GetSessionId() string }:
			leg := s.Legs[m.GetSessionId()]
			if strings.HasPrefix(e.Name, "Leg") && (t.Moves() || leg != nil && leg.N == t.N) {
				last = e.Seq
			}
		case interface{ GetN() uint32 }:
			if m.GetN() == t.N {
				last = e.Seq
			}
		}
	}
	return last
}
