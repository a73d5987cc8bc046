// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"fmt"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/call"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

const defaultPage = 50

// rpc answers CallService.
type rpc struct {
	controlv1connect.UnimplementedCallServiceHandler
	*Control

	view *View
}

// GetCall gives one call with its whole story, read from the stream as it is now.
func (r *rpc) GetCall(ctx context.Context, req *controlv1.GetCallRequest) (*controlv1.GetCallResponse, error) {
	story, err := r.Bus.Story(ctx, req.GetId())
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	if len(story.Events) == 0 {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("there is no call %s, or no longer", req.GetId()))
	}
	res := &controlv1.GetCallResponse{Call: Describe(call.Read(story))}
	for _, e := range story.Events {
		data, err := anypb.New(e.Data)
		if err != nil {
			return nil, connect.NewError(connect.CodeInternal, err)
		}
		res.Events = append(res.Events, &controlv1.Event{
			Name: e.Key(), At: timestamppb.New(e.Time), Author: e.Author, Cause: e.Cause, Sequence: e.Seq, Data: data,
		})
	}
	return res, nil
}

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
	calls, next := r.view.List(size, before, req.GetState())
	res := &controlv1.ListCallsResponse{Calls: calls}
	if next > 0 {
		res.NextPageToken = strconv.FormatUint(next, 36)
	}
	return res, nil
}

func invalid(format string, args ...any) error {
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, args...))
}
