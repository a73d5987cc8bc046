// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// rpc answers CallService.
type rpc struct {
	controlv1connect.UnimplementedCallServiceHandler
	*Control

	view     *View
	watching watching
}

// GetCall gives one call with its whole story, read from the stream as it is now.
func (r *rpc) GetCall(ctx context.Context, req *controlv1.GetCallRequest) (*controlv1.GetCallResponse, error) {
	story, err := r.Bus.Story(ctx, req.GetId())
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	if len(story.Events) == 0 {
		return nil, r.unknown(ctx, req.GetId())
	}
	res := &controlv1.GetCallResponse{Call: Describe(call.Read(story))}
	for _, e := range story.Events {
		res.Events = append(res.Events, describeEvent(e))
	}
	return res, nil
}

// describeEvent makes of an event what is told about it.
func describeEvent(e *bus.Event) *controlv1.Event {
	data, _ := anypb.New(e.Data) // what was decoded can be encoded
	return &controlv1.Event{
		Name: e.Key(), At: timestamppb.New(e.Time), Author: e.Author, Cause: e.Cause, Sequence: e.Seq, Data: data,
	}
}

func invalid(format string, args ...any) error {
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, args...))
}

// unknown is the error for a call of which nothing was read: there is none, or a replica has not heard of it yet.
func (r *rpc) unknown(ctx context.Context, callID string) error {
	switch known, err := r.Bus.Known(ctx, callID); {
	case err != nil:
		return connect.NewError(connect.CodeUnavailable, err)
	case known:
		return connect.NewError(connect.CodeUnavailable, fmt.Errorf("call %s is not to be seen yet: try again", callID))
	}
	return connect.NewError(connect.CodeNotFound, fmt.Errorf("there is no call %s, or no longer", callID))
}
