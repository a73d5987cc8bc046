// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/guard"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

const (
	maxMetadata = 16 << 10 // bytes, as protobuf has them
	// keptFor is how long before the stream forgets a call its last attempt must have begun, so that its story is whole.
	keptFor = 24 * time.Hour
)

// StartCall has a person called, once for each key's idempotency key. It is asked for once it is in the stream: what
// follows is for the events to bring about.
func (r *rpc) StartCall(ctx context.Context, req *controlv1.StartCallRequest) (*controlv1.StartCallResponse, error) {
	// Unique for each request, so that only this one takes the call for its own.
	ctx = bus.WithCause(ctx, "rpc "+uuid.NewString())
	by := auth.Caller(ctx)
	callID := bus.CallID("dial-out", by, req.GetIdempotencyKey())
	digest, err := digestOf(req)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	// What was asked for stays asked for, whatever has changed since.
	before, err := r.Bus.Find(ctx, callID, bus.Key(&callv1.CallRequested{}))
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	if before != nil {
		return r.replay(ctx, before, digest)
	}
	wanted, err := r.wanted(req, r.Now())
	if err != nil {
		return nil, err
	}
	wanted.RequestedBy, wanted.Digest = by, digest
	if err := r.allowed(ctx, wanted); err != nil {
		return nil, err
	}
	e, err := r.Bus.Publish(ctx, callID, wanted)
	switch {
	case errors.Is(err, bus.ErrTaken):
		return r.replay(ctx, e, digest)
	case err != nil:
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	guard.Die("start.stored")
	return &controlv1.StartCallResponse{Call: Describe(call.Read(bus.NewStory(callID, []*bus.Event{e})))}, nil
}

// digestOf tells requests apart that carry the same key.
func digestOf(req *controlv1.StartCallRequest) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return sum[:], nil
}

// replay gives back the call that was asked for with the same key.
func (r *rpc) replay(ctx context.Context, before *bus.Event, digest []byte) (*controlv1.StartCallResponse, error) {
	if asked, ok := before.Data.(*callv1.CallRequested); !ok || !bytes.Equal(asked.GetDigest(), digest) {
		return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("idempotency_key: call %s was asked for with this key and other content", before.CallID))
	}
	story, err := r.Bus.Story(ctx, before.CallID)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	if len(story.Events) == 0 { // a replica that lags behind
		story = bus.NewStory(before.CallID, []*bus.Event{before})
	}
	return &controlv1.StartCallResponse{Call: Describe(call.Read(story)), Replayed: true}, nil
}

// wanted makes the call's first fact of a request, with what is configured where the request says nothing.
func (r *rpc) wanted(req *controlv1.StartCallRequest, now time.Time) (*callv1.CallRequested, error) {
	agent, ok := r.Config.Agents[req.GetAgent()]
	if !ok {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("agent: there is no agent %q", req.GetAgent()))
	}
	if r.Config.PublicURL == "" {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("public_url is not configured: whether somebody answers is told by Daily's domain webhook alone"))
	}
	out := r.Config.Dialout
	notBefore := now
	if req.NotBefore != nil && req.NotBefore.AsTime().After(now) {
		notBefore = req.NotBefore.AsTime()
	}
	notAfter := notBefore.Add(out.Window)
	if req.NotAfter != nil {
		notAfter = req.NotAfter.AsTime()
	}
	longest := cmp.Or(req.GetMaxDuration().AsDuration(), out.MaxDuration)
	latest := now.Add(r.Config.NATS.MaxAge - max(keptFor, longest+time.Hour))
	if req.NotAfter == nil && notAfter.After(latest) {
		notAfter = latest
	}
	switch {
	case req.NotBefore.CheckValid() != nil && req.NotBefore != nil:
		return nil, invalid("not_before: is not a time")
	case req.NotAfter.CheckValid() != nil && req.NotAfter != nil:
		return nil, invalid("not_after: is not a time")
	case notBefore.After(latest):
		return nil, invalid("not_before: must be before %s, as calls are kept for %s", latest.Format(time.RFC3339), r.Config.NATS.MaxAge)
	case notAfter.After(latest):
		return nil, invalid("not_after: must be before %s, as calls are kept for %s", latest.Format(time.RFC3339), r.Config.NATS.MaxAge)
	case !notAfter.After(notBefore):
		return nil, invalid("not_after: must be after not_before, and later than now")
	case !writable(req.GetMetadata()):
		return nil, invalid("metadata: must be what JSON can hold")
	case proto.Size(req.GetMetadata()) > maxMetadata:
		return nil, invalid("metadata: must be at most %d bytes; this is %d", maxMetadata, proto.Size(req.GetMetadata()))
	}
	retries, err := retriesOf(req, out)
	if err != nil {
		return nil, err
	}
	return &callv1.CallRequested{
		IdempotencyKey: req.GetIdempotencyKey(), To: req.GetTo(), Agent: req.GetAgent(), Metadata: req.GetMetadata(),
		CallerId:  cmp.Or(req.GetCallerId(), agent.CallerID),
		NotBefore: timestamppb.New(notBefore), NotAfter: timestamppb.New(notAfter),
		MaxDuration:  durationpb.New(longest),
		RingTimeout:  durationpb.New(cmp.Or(req.GetRingTimeout().AsDuration(), out.RingTimeout)),
		AnswerBudget: durationpb.New(out.AnswerBudget), Retries: retries, BotDials: agent.Dial == config.DialsByBot,
	}, nil
}

// writable reports whether metadata can be told as JSON: not every number that protobuf knows can.
func writable(metadata *structpb.Struct) bool {
	_, err := protojson.Marshal(metadata)
	return err == nil
}

func retriesOf(req *controlv1.StartCallRequest, configured config.Dialout) (retries []*callv1.Retry, err error) {
	if req.GetRetry() == nil {
		for _, c := range configured.Retries {
			retries = append(retries, &callv1.Retry{Cause: c.Cause, Delay: durationpb.New(c.Delay), Limit: uint32(c.Limit)})
		}
		return retries, nil
	}
	seen := map[string]bool{}
	for i, c := range req.GetRetry().GetCauses() {
		if seen[c.GetCause()] {
			return nil, invalid("retry.causes[%d].cause: %s is there already", i, c.GetCause())
		}
		seen[c.GetCause()] = true
		retries = append(retries, &callv1.Retry{Cause: c.GetCause(), Delay: c.GetDelay(), Limit: c.GetLimit()})
	}
	return retries, nil
}

// allowed refuses what policy will not allow in the time that the call has.
func (r *rpc) allowed(ctx context.Context, wanted *callv1.CallRequested) error {
	verdicts := r.Policy.Judge(wanted.GetTo(), wanted.GetNotBefore().AsTime())
	v := policy.Decide(verdicts)
	if v.Decision == policy.Allow || v.Decision == policy.Wait && !v.Until.IsZero() && !v.Until.After(wanted.GetNotAfter().AsTime()) {
		return nil
	}
	refused := connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("policy: %s: %s", v.Rule, v.Detail))
	if detail, err := connect.NewErrorDetail(explained(verdicts)); err == nil {
		refused.AddDetail(detail)
	}
	return refused
}

// EndCall ends a call at once. Who is on the line is sent out by what follows from the end.
func (r *rpc) EndCall(ctx context.Context, req *controlv1.EndCallRequest) (*controlv1.EndCallResponse, error) {
	ctx = bus.WithCause(ctx, "rpc "+uuid.NewString())
	var s *call.State
	e, err := r.Bus.Decide(ctx, req.GetId(), func(story *bus.Story) (proto.Message, error) {
		if s = call.Read(story); s.Ended != nil || !s.Begun() {
			return nil, nil
		}
		return ended(talked(s), EndedByUser, req.GetDetail()), nil
	})
	switch {
	case err != nil:
		return nil, connect.NewError(connect.CodeUnavailable, err)
	case e != nil:
		s.Apply(e)
	case !s.Begun():
		return nil, r.unknown(ctx, req.GetId())
	}
	return &controlv1.EndCallResponse{Call: Describe(s)}, nil
}

// ExplainPolicy tells what each rule says of a call, now or at another time.
func (r *rpc) ExplainPolicy(ctx context.Context, req *controlv1.ExplainPolicyRequest) (*controlv1.ExplainPolicyResponse, error) {
	agent, ok := r.Config.Agents[req.GetAgent()]
	if !ok {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("agent: there is no agent %q", req.GetAgent()))
	}
	at := r.Now()
	if req.At != nil {
		if req.At.CheckValid() != nil {
			return nil, invalid("at: is not a time")
		}
		at = req.At.AsTime()
	}
	verdicts := r.Policy.Judge(req.GetTo(), at)
	looks, err := r.Admission.Look(ctx, req.GetAgent(), req.GetTo())
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	for _, l := range looks {
		v := policy.Verdict{Rule: l.Rule, Decision: policy.Allow, Detail: l.Detail}
		if !l.Allowed {
			v.Decision, v.Until = policy.Wait, l.Until
		}
		verdicts = append(verdicts, v)
	}
	if agent.Dial == config.DialsByBot {
		verdicts = append(verdicts, policy.Verdict{
			Rule: "dial", Decision: policy.Allow,
			Detail: "the agent's bot dials by itself: past Daily's pace, possibly more than once, and it is not tried again",
		})
	}
	return explained(verdicts), nil
}

// decisions are those of policy, as the API calls them.
var decisions = map[policy.Decision]controlv1.Decision{
	policy.Allow: controlv1.Decision_DECISION_ALLOW, policy.Wait: controlv1.Decision_DECISION_WAIT, policy.Refuse: controlv1.Decision_DECISION_REFUSE,
}

// explained tells verdicts to who asks.
func explained(verdicts []policy.Verdict) *controlv1.ExplainPolicyResponse {
	total := policy.Decide(verdicts)
	res := &controlv1.ExplainPolicyResponse{Decision: decisions[total.Decision]}
	if total.Decision != policy.Allow {
		res.Rule = total.Rule
	}
	for _, v := range verdicts {
		told := &controlv1.Verdict{Rule: v.Rule, Decision: decisions[v.Decision], Detail: v.Detail}
		if !v.Until.IsZero() {
			told.Until = timestamppb.New(v.Until)
		}
		res.Verdicts = append(res.Verdicts, told)
	}
	return res
}
