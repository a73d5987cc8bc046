// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

// breaking is a call-control whose first stream breaks off, and whose third does not go on.
type breaking struct {
	controlv1connect.UnimplementedCallServiceHandler
	cursors []string
}

func (b *breaking) WatchCalls(_ context.Context, req *controlv1.WatchCallsRequest, to *connect.ServerStream[controlv1.WatchCallsResponse]) error {
	b.cursors = append(b.cursors, req.GetCursor())
	c := &controlv1.Call{Id: "one", From: "+14155550123", To: "+14155550199", State: controlv1.State_STATE_WAITING, Received: timestamppb.New(time.Unix(0, 0))}
	event := func(name, cursor string) *controlv1.WatchCallsResponse {
		return &controlv1.WatchCallsResponse{Call: c, Event: &controlv1.Event{Name: name, At: timestamppb.New(time.Unix(1, 0))}, Cursor: cursor}
	}
	switch len(b.cursors) {
	case 1:
		return errors.Join(to.Send(&controlv1.WatchCallsResponse{Call: c}), to.Send(&controlv1.WatchCallsResponse{Cursor: "a"}), to.Send(event("RoomReady.1", "b")),
			connect.NewError(connect.CodeUnavailable, errors.New("stopping")))
	case 2:
		return errors.Join(to.Send(&controlv1.WatchCallsResponse{Cursor: "b"}), to.Send(event("BotReady.1", "c")))
	}
	return connect.NewError(connect.CodeOutOfRange, errors.New("not kept"))
}

func TestAWatchGoesOnWhereItBrokeOff(t *testing.T) {
	for format, want := range map[string][]string{
		"table": {"one  +14155550123 -> +14155550199  waiting", "one  +14155550123 -> +14155550199  RoomReady.1", "one  +14155550123 -> +14155550199  BotReady.1"},
		"json":  {`"id":"one"`, `"cursor":"a"`, `"cursor":"b"`, `"cursor":"b"`, `"cursor":"c"`},
	} {
		b := &breaking{}
		_, handler := controlv1connect.NewCallServiceHandler(b)
		server := httptest.NewServer(handler)
		cmd, text := &cobra.Command{}, &bytes.Buffer{}
		cmd.SetOut(text)
		show, err := (&output{format}).each(cmd)
		if err != nil {
			t.Fatal(err)
		}
		err = watchCalls(t.Context(), controlv1connect.NewCallServiceClient(server.Client(), server.URL), &controlv1.WatchCallsRequest{}, show, io.Discard)
		server.Close()
		if connect.CodeOf(err) != connect.CodeOutOfRange || !slices.Equal(b.cursors, []string{"", "b", "c"}) {
			t.Errorf("%s: cursors %q, then %v", format, b.cursors, err)
		}
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%s: %q", format, lines)
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) {
				t.Errorf("%s: line %q, want %q in it", format, lines[i], want[i])
			}
		}
	}
}
