// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"strconv"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

const defaultPage = 50

// ListCalls gives calls, the latest first.
func (r *rpc) ListCalls(_ context.Context, req *controlv1.ListCallsRequest) (*controlv1.ListCallsResponse, error) {
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	var before uint64
	if token := req.GetPageToken(); token != "" {
		var err error
		if before, err = strconv.ParseUint(token, 36, 64); err != nil || before == 0 {
			return nil, invalid("page_token: %q is not one that was given out", token)
		}
	}
	wanted, err := filter(req)
	if err != nil {
		return nil, err
	}
	calls, next := r.view.List(size, before, wanted)
	res := &controlv1.ListCallsResponse{Calls: calls}
	if next > 0 {
		res.NextPageToken = strconv.FormatUint(next, 36)
	}
	return res, nil
}

// filter makes of a request what tells whether a call is wanted.
func filter(req *controlv1.ListCallsRequest) (func(*controlv1.Call) bool, error) {
	switch {
	case req.Since != nil && !req.Since.IsValid():
		return nil, invalid("since: %v", req.Since.CheckValid())
	case req.Until != nil && !req.Until.IsValid():
		return nil, invalid("until: %v", req.Until.CheckValid())
	}
	since, until := req.GetSince().AsTime(), req.GetUntil().AsTime()
	return func(c *controlv1.Call) bool {
		switch received := c.GetReceived().AsTime(); {
		case req.Since != nil && received.Before(since), req.Until != nil && !received.Before(until):
			return false
		case req.GetNumber() != "" && req.GetNumber() != c.GetFrom() && req.GetNumber() != c.GetTo():
			return false
		}
		return fits(req.GetState(), c.GetState()) && fits(req.GetDirection(), c.GetDirection()) &&
			fits(req.GetAgent(), c.GetAgent()) && fits(req.GetOutcome(), c.GetOutcome())
	}, nil
}

// fits reports whether what is there is what is asked for, if something is.
func fits[T comparable](asked, there T) bool {
	var nothing T
	return asked == nothing || asked == there
}
