// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

// rpc answers TransferService.
type rpc struct {
	transferv1connect.UnimplementedTransferServiceHandler
	*Transfers

	life context.Context // ends when the service is told to stop, and streams with it
}

func refuse(code connect.Code, format string, args ...any) error {
	return connect.NewError(code, fmt.Errorf(format, args...))
}

// mine refuses a bot another call than its own.
func mine(ctx context.Context, callID string) error {
	if own, _, bot := auth.Bot(ctx); bot && own != callID {
		return refuse(connect.CodePermissionDenied, "call: a bot may have its own call transferred alone")
	}
	return nil
}

// current refuses a bot whose place another has taken.
func current(ctx context.Context, s *call.State) error {
	_, attempt, bot := auth.Bot(ctx)
	if a := s.Attempt(attempt); bot && (a == nil || a != s.Current() || a.Over()) {
		return refuse(connect.CodePermissionDenied, "another attempt has taken the bot's place")
	}
	return nil
}

// caused says who makes a request, to those who read the call's story.
func caused(ctx context.Context) context.Context {
	if _, _, bot := auth.Bot(ctx); bot {
		return bus.WithCause(ctx, "bot "+auth.Caller(ctx)+" "+uuid.NewString())
	}
	return bus.WithCause(ctx, "rpc "+uuid.NewString())
}

// change decides something about a call's transfer, on the call as it stands, and gives the transfer as it is then. What
// choose refuses is told to who asks.
func (r *rpc) change(ctx context.Context, callID string, n uint32, choose func(*call.State, *call.Transfer) (proto.Message, error)) (*transferv1.Transfer, error) {
	if err := mine(ctx, callID); err != nil {
		return nil, err
	}
	ctx = caused(ctx)
	var seen *bus.Story
	decided, err := r.Bus.Decide(ctx, callID, func(story *bus.Story) (proto.Message, error) {
		seen = story
		s := call.Read(story)
		if err := current(ctx, s); err != nil {
			return nil, err
		}
		t := transferOf(s, n)
		if t == nil {
			return nil, refuse(connect.CodeNotFound, "call %s has no transfer %d", callID, n)
		}
		return choose(s, t)
	})
	var refused *connect.Error
	switch {
	case errors.As(err, &refused):
		return nil, r.unseen(ctx, seen, refused)
	case err != nil:
		return nil, connect.NewError(connect.CodeUnavailable, err)
	case decided != nil:
		seen = seen.With(decided)
	}
	s := call.Read(seen)
	return describe(seen, s, transferOf(s, n)), nil
}

// transferOf gives a transfer by its number, 0 being the latest, or nil.
func transferOf(s *call.State, n uint32) *call.Transfer {
	if n == 0 {
		n = uint32(len(s.Transfers))
	}
	if n < 1 || int(n) > len(s.Transfers) || s.Transfers[n-1].Asked == nil {
		return nil
	}
	return s.Transfers[n-1]
}

// unseen is the refusal of what concerns a call, unless a replica has not heard of the call yet.
func (r *rpc) unseen(ctx context.Context, story *bus.Story, refused error) error {
	if story != nil && len(story.Events) > 0 {
		return refused
	}
	switch known, err := r.Bus.Known(ctx, story.CallID); {
	case err != nil:
		return connect.NewError(connect.CodeUnavailable, err)
	case known:
		return refuse(connect.CodeUnavailable, "call %s is not to be seen yet: try again", story.CallID)
	}
	return refuse(connect.CodeNotFound, "there is no call %s, or no longer", story.CallID)
}

// ExecuteTransfer has a transfer executed whose announcement has been spoken.
func (r *rpc) ExecuteTransfer(ctx context.Context, req *transferv1.ExecuteTransferRequest) (*transferv1.ExecuteTransferResponse, error) {
	t, err := r.change(ctx, req.GetCall(), req.GetN(), func(s *call.State, t *call.Transfer) (proto.Message, error) {
		switch {
		case t.Announced != nil:
			return nil, nil
		case s.Ended != nil || !t.UnderWay():
			return nil, refuse(connect.CodeFailedPrecondition, "transfer %d is over", t.N)
		}
		return &callv1.TransferAnnounced{N: t.N}, nil
	})
	return &transferv1.ExecuteTransferResponse{Transfer: t}, err
}

// FinishBriefing joins the caller with who has been told what it is about, or has them part.
func (r *rpc) FinishBriefing(ctx context.Context, req *transferv1.FinishBriefingRequest) (*transferv1.FinishBriefingResponse, error) {
	t, err := r.change(ctx, req.GetCall(), req.GetN(), func(s *call.State, t *call.Transfer) (proto.Message, error) {
		try := t.Answer()
		switch {
		case try != nil && try.Briefed != nil:
			return nil, nil
		case s.Ended != nil || !t.UnderWay() || try == nil || try.Briefing == nil:
			return nil, refuse(connect.CodeFailedPrecondition, "transfer %d: nobody is being told what it is about", t.N)
		}
		return &callv1.TransferBriefed{N: t.N, K: try.K, Declined: req.GetDeclined(), Detail: req.GetDetail()}, nil
	})
	return &transferv1.FinishBriefingResponse{Transfer: t}, err
}

// CancelTransfer takes a transfer back. What is to be undone follows from that.
func (r *rpc) CancelTransfer(ctx context.Context, req *transferv1.CancelTransferRequest) (*transferv1.CancelTransferResponse, error) {
	t, err := r.change(ctx, req.GetCall(), req.GetN(), func(s *call.State, t *call.Transfer) (proto.Message, error) {
		switch {
		case t.Cancelled != nil:
			return nil, nil
		case s.Ended != nil || !t.UnderWay():
			return nil, refuse(connect.CodeFailedPrecondition, "transfer %d is over", t.N)
		case s.Leaving() == t:
			return nil, refuse(connect.CodeFailedPrecondition, "transfer %d: the caller is on the way, and nobody can take him back", t.N)
		}
		return &callv1.TransferCancelled{N: t.N, Reason: TakenBack, Detail: req.GetDetail()}, nil
	})
	return &transferv1.CancelTransferResponse{Transfer: t}, err
}

// ListTargets gives the targets, or those that a call's agent may use.
func (r *rpc) ListTargets(ctx context.Context, req *transferv1.ListTargetsRequest) (*transferv1.ListTargetsResponse, error) {
	callID := req.GetCall()
	if own, _, bot := auth.Bot(ctx); bot && callID == "" {
		callID = own
	}
	if err := mine(ctx, callID); err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(r.Config.Targets))
	if callID != "" {
		story, err := r.Bus.Story(ctx, callID)
		if err != nil {
			return nil, connect.NewError(connect.CodeUnavailable, err)
		}
		s := call.Read(story)
		if !s.Begun() {
			return nil, r.unseen(ctx, story, refuse(connect.CodeNotFound, "there is no call %s, or no longer", callID))
		}
		allowed := r.Config.Agents[s.Current().Agent].Targets
		names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(allowed, name) })
	}
	now, res := r.Now(), &transferv1.ListTargetsResponse{}
	for _, name := range names {
		target := r.Config.Targets[name]
		told := &transferv1.Target{Name: name, Description: target.Description, Modes: target.Modes}
		for _, stands := range r.Targets.chain(name, target.Modes[0]) {
			told.Open = told.Open || r.Targets.open(stands.Name, now)
		}
		if next := r.Targets.next(name, now); !told.Open && !next.IsZero() {
			told.OpensAt = timestamppb.New(next)
		}
		res.Targets = append(res.Targets, told)
	}
	return res, nil
}
