// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/phone"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
)

// maxTransfers is how many transfers a call may have: its story must stay readable.
const maxTransfers = 50

// RequestTransfer asks for a transfer, once for each idempotency key. It is asked for once it is in the stream: what
// follows is for the events to bring about.
func (r *rpc) RequestTransfer(ctx context.Context, req *transferv1.RequestTransferRequest) (*transferv1.RequestTransferResponse, error) {
	if err := mine(ctx, req.GetCall()); err != nil {
		return nil, err
	}
	digest, err := digestOf(req)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	ctx = caused(ctx)
	var seen *bus.Story
	decided, err := r.Bus.Decide(ctx, req.GetCall(), func(story *bus.Story) (proto.Message, error) {
		seen = story
		s := call.Read(story)
		// What was asked for stays asked for, whatever has been configured since.
		if before := askedBefore(s, req.GetIdempotencyKey()); before != nil {
			if !bytes.Equal(before.Asked.Data.GetDigest(), digest) {
				return nil, refuse(connect.CodeAlreadyExists, "idempotency_key: transfer %d was asked for with this key and other content", before.N)
			}
			return nil, nil
		}
		wanted, err := r.wants(ctx, req)
		if err != nil {
			return nil, err
		}
		if err := current(ctx, s); err != nil {
			return nil, err
		}
		if err := r.transferable(s, wanted); err != nil {
			return nil, err
		}
		wanted.N, wanted.Digest = uint32(len(s.Transfers))+1, digest
		return wanted, nil
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
	return &transferv1.RequestTransferResponse{Transfer: describe(seen, s, askedBefore(s, req.GetIdempotencyKey())), Replayed: decided == nil}, nil
}

func askedBefore(s *call.State, key string) *call.Transfer {
	for _, t := range s.Transfers {
		if t.Asked != nil && t.Asked.Data.GetIdempotencyKey() == key {
			return t
		}
	}
	return nil
}

// wants makes an event of a request, with the target as it is configured now.
func (r *rpc) wants(ctx context.Context, req *transferv1.RequestTransferRequest) (*callv1.TransferRequested, error) {
	target, known := r.Config.Targets[req.GetTarget()]
	var wanted *callv1.TransferRequested
	switch {
	case (req.GetTarget() == "") == (req.GetNumber() == ""):
		return nil, refuse(connect.CodeInvalidArgument, "target: name either a target or a number")
	case req.GetNumber() != "":
		var err error
		if wanted, err = r.named(ctx, req); err != nil {
			return nil, err
		}
	case !known:
		return nil, refuse(connect.CodeNotFound, "target: there is no target %q", req.GetTarget())
	case !slices.Contains(target.Modes, req.GetMode()):
		return nil, refuse(connect.CodeFailedPrecondition, "mode: target %s does not allow %s", req.GetTarget(), req.GetMode())
	default:
		wanted = r.wanted(req.GetTarget(), req.GetMode(), r.Now())
	}
	wanted.IdempotencyKey, wanted.RequestedBy = req.GetIdempotencyKey(), auth.Caller(ctx)
	wanted.Summary, wanted.Announcement = req.GetSummary(), req.GetAnnouncement()
	return wanted, nil
}

// named is a transfer to somebody who is not configured.
func (r *rpc) named(ctx context.Context, req *transferv1.RequestTransferRequest) (*callv1.TransferRequested, error) {
	if !auth.May(ctx, auth.TransfersNumber) {
		return nil, refuse(connect.CodePermissionDenied, "number: %s lacks the scope %s; name a target", auth.Caller(ctx), auth.TransfersNumber)
	}
	to, err := phone.Normalize(req.GetNumber(), r.Config.Region)
	if err != nil || to == "" {
		return nil, refuse(connect.CodeInvalidArgument, "number: must be E.164, such as +14155550123, or a SIP URI")
	}
	if req.GetMode() != config.ModeCold && req.GetMode() != config.ModeWarm {
		return nil, refuse(connect.CodeFailedPrecondition, "mode: %s is for targets that allow it", req.GetMode())
	}
	wanted := r.wanted("", req.GetMode(), time.Time{})
	wanted.Numbers = []*callv1.TransferNumber{{To: to, RingTimeout: durationpb.New(config.DefaultTarget().RingTimeout), Group: 1, Named: true}}
	return wanted, nil
}

// digestOf tells requests apart that carry the same key.
func digestOf(req *transferv1.RequestTransferRequest) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	sum := sha256.Sum256(data)
	return sum[:], err
}

// transferable refuses what cannot be transferred now.
func (r *rpc) transferable(s *call.State, wanted *callv1.TransferRequested) error {
	agent := r.Config.Agents[s.Current().Agent]
	why := func(format string, args ...any) error { return refuse(connect.CodeFailedPrecondition, format, args...) }
	switch {
	case !s.Begun():
		return refuse(connect.CodeNotFound, "there is no call %s, or no longer", s.ID)
	case s.Ended != nil:
		return why("the call is over")
	case s.Transfer().UnderWay():
		return why("transfer %d is under way", s.Transfer().N)
	case s.Transfer().Done():
		return why("the caller has been handed over to %s already", s.Transfer().Asked.Data.GetTarget())
	case view{State: s}.room() == "" || s.Received != nil && s.Forwarded == nil || s.Requested != nil && s.Reached() == nil:
		return why("nobody is on the line yet")
	case len(s.Transfers) >= maxTransfers:
		return why("the call has had %d transfers", maxTransfers)
	case r.Config.PublicURL == "":
		return why("public_url is not configured: whether somebody answers is told by Daily's domain webhook alone")
	case wanted.GetTarget() != "" && !slices.Contains(agent.Targets, wanted.GetTarget()):
		return why("target: agents.%s.targets does not name %s", s.Current().Agent, wanted.GetTarget())
	case wanted.GetTarget() == "" && len(agent.Targets) == 0 && s.Requested == nil:
		return why("number: the rooms of agent %s cannot dial, for agents.%s.targets is empty", s.Current().Agent, s.Current().Agent)
	case len(wanted.GetNumbers()) == 0:
		if next := r.Targets.next(wanted.GetTarget(), r.Now()); !next.IsZero() {
			return why("target: %s is closed until %s", wanted.GetTarget(), next.Format(time.RFC3339))
		}
		return why("target: %s is closed", wanted.GetTarget())
	}
	return nil
}
