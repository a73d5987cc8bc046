// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/phone"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/call-control/admission"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

// AdmitLeg judges somebody who is to be called into a call, and gives the leg a place among the dial-outs. It is counted
// once, and until it is over. What has been given to a leg that was over by then is given back.
func (r *rpc) AdmitLeg(ctx context.Context, req *controlv1.AdmitLegRequest) (*controlv1.AdmitLegResponse, error) {
	s, err := r.legWanted(ctx, req)
	if err != nil {
		return nil, err
	}
	v := r.judgeLeg(req, r.Now())
	if v.Decision != policy.Allow {
		return admitted(v), nil
	}
	if v, err = r.takeLeg(ctx, req); err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	if _, err := r.legWanted(ctx, req); err != nil {
		return nil, errors.Join(err, r.Admission.Release(ctx, legHolder(s.ID, req.GetN(), req.GetK())))
	}
	return admitted(v), nil
}

// legWanted reads the call, if the leg may still be dialled for it.
func (r *rpc) legWanted(ctx context.Context, req *controlv1.AdmitLegRequest) (*call.State, error) {
	story, err := r.Bus.Story(ctx, req.GetCall())
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	s := call.Read(story)
	switch {
	case !s.Begun():
		return nil, r.unknown(ctx, req.GetCall())
	case s.Ended != nil:
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("call %s is over", s.ID))
	case legIsOver(s, req.GetN(), req.GetK()):
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("number %d of transfer %d is not to be called any more", req.GetK(), req.GetN()))
	}
	return s, nil
}

// judgeLeg asks the rules for numbers. A SIP URI is none, unless a number is all that it hides: who may name one must not
// get around them.
func (r *rpc) judgeLeg(req *controlv1.AdmitLegRequest, now time.Time) policy.Verdict {
	to := req.GetTo()
	if phone.IsSIP(to) {
		if to = phone.InSIP(to); to == "" {
			return policy.Verdict{Decision: policy.Allow}
		}
	}
	if req.GetTarget() {
		return policy.Decide(r.Policy.JudgeTarget(to, now))
	}
	return policy.Decide(r.Policy.Judge(to, now))
}

// takeLeg takes a place, and where the number is not a target's, one of the dials that it may have. Without both it takes
// neither.
func (r *rpc) takeLeg(ctx context.Context, req *controlv1.AdmitLegRequest) (policy.Verdict, error) {
	holder, turn := legHolder(req.GetCall(), req.GetN(), req.GetK()), admission.NoTurn
	if req.GetWaited() {
		turn = admission.AllTurn
	}
	answer, err := r.Admission.Ask(ctx, holder, "", turn)
	switch {
	case err != nil:
		return policy.Verdict{}, err
	case !answer.Admitted:
		return policy.Verdict{Rule: answer.Rule, Decision: policy.Wait, Detail: answer.Detail, Until: answer.Again}, nil
	case req.GetTarget():
		return policy.Verdict{Decision: policy.Allow}, nil
	}
	free, until, err := r.Admission.Claim(ctx, req.GetTo(), claimer(req.GetCall(), req.GetN()), req.GetK())
	if err == nil && free {
		return policy.Verdict{Decision: policy.Allow}, nil
	}
	return policy.Verdict{Rule: perNumber, Decision: policy.Wait, Detail: "the number has been called as often as it may be", Until: until},
		errors.Join(err, r.Admission.Release(ctx, holder))
}

func admitted(v policy.Verdict) *controlv1.AdmitLegResponse {
	res := &controlv1.AdmitLegResponse{Decision: decisions[v.Decision], Rule: v.Rule, Detail: v.Detail}
	if !v.Until.IsZero() {
		res.Until = timestamppb.New(v.Until)
	}
	return res
}

// legHolder names the place of an operator's leg.
func legHolder(callID string, n, k uint32) string { return fmt.Sprintf("%s.t%d.%d", callID, n, k) }

var legHolders = regexp.MustCompile(`^([^.]+)[.]t([0-9]+)[.]([0-9]+)$`)

// parseLegHolder takes such a name apart. A call's is not ok.
func parseLegHolder(holder string) (callID string, n, k uint32, ok bool) {
	m := legHolders.FindStringSubmatch(holder)
	if m == nil {
		return "", 0, 0, false
	}
	transfer, err := strconv.ParseUint(m[2], 10, 32)
	number, err2 := strconv.ParseUint(m[3], 10, 32)
	return m[1], uint32(transfer), uint32(number), err == nil && err2 == nil
}

// legIsOver reports whether number k of transfer n has left, or will not be called any more.
func legIsOver(s *call.State, n, k uint32) bool {
	if s.Ended != nil {
		return true
	}
	if leg := s.Operator(n, k); leg != nil {
		return leg.Gone
	}
	if n < 1 || int(n) > len(s.Transfers) { // a replica lags behind
		return false
	}
	t := s.Transfers[n-1]
	if try := t.Try(k); try != nil && try.Missed != nil {
		return true
	}
	return t.Failed != nil || t.Cancelled != nil || t.Done() && t.Completed.Data.GetK() != k
}

// giveBackLegs gives back the places of those operators' legs of a call that are over.
func (c *Control) giveBackLegs(ctx context.Context, s *call.State) error {
	var over []string
	for _, t := range s.Transfers {
		numbers := len(t.Tries)
		if t.Asked != nil {
			numbers = max(numbers, len(t.Asked.Data.GetNumbers()))
		}
		for k := range uint32(numbers) {
			if !legIsOver(s, t.N, k+1) {
				continue
			}
			over = append(over, legHolder(s.ID, t.N, k+1))
			if err := c.unclaimLeg(ctx, s.ID, t, k+1); err != nil {
				return err
			}
		}
	}
	if len(over) == 0 {
		return nil
	}
	return c.Admission.Release(ctx, over...)
}

// claimer names the calls of one transfer's numbers among the dials of a number.
func claimer(callID string, n uint32) string { return fmt.Sprintf("%s.t%d", callID, n) }

// unclaimLeg takes back the claim on a number that was not called after all. A target's has none.
func (c *Control) unclaimLeg(ctx context.Context, callID string, t *call.Transfer, k uint32) error {
	if try := t.Try(k); t.Asked == nil || int(k) > len(t.Asked.Data.GetNumbers()) || try != nil && try.Starting != nil {
		return nil
	}
	number := t.Asked.Data.GetNumbers()[k-1]
	if !number.GetNamed() {
		return nil
	}
	return c.Admission.Unclaim(ctx, number.GetTo(), claimer(callID, t.N), k)
}
