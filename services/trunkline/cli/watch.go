// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
)

const (
	// watchSilence is after how long without a word a connection counts as broken. A live one says something after 15 s.
	watchSilence = 45 * time.Second
	watchAgain   = time.Second
)

func callsWatchCommand(c *control) *cobra.Command {
	var out output
	req := &controlv1.WatchCallsRequest{}
	cmd := &cobra.Command{
		Use: "watch [ID]", Short: "Show the calls that are not over, and then every event as it comes", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				req.Id = args[0]
			}
			show, err := out.each(cmd)
			if err != nil {
				return err
			}
			return watchCalls(cmd.Context(), client, req, show, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&req.Cursor, "cursor", "", "go on behind this one, as -o json shows it")
	cmd.Flags().StringVar(&req.Agent, "agent", "", "only this agent's calls")
	out.flag(cmd)
	return cmd
}

// each gives what shows one answer: as a line of JSON, or of text if it is about a call.
func (o *output) each(cmd *cobra.Command) (func(*controlv1.WatchCallsResponse) error, error) {
	w := cmd.OutOrStdout()
	switch o.format {
	case "json":
		lines := json.NewEncoder(w)
		return func(a *controlv1.WatchCallsResponse) error { return lines.Encode(plain{a}) }, nil
	case "table":
		return func(a *controlv1.WatchCallsResponse) error {
			c := a.GetCall()
			if c == nil {
				return nil
			}
			at, what := a.GetEvent().GetAt(), a.GetEvent().GetName()
			if a.GetEvent() == nil {
				at, what = c.GetReceived(), word(c.GetState(), "STATE_")
			}
			_, err := fmt.Fprintf(w, "%s  %s  %s -> %s  %s\n", at.AsTime().Local().Format("2006-01-02 15:04:05.000"), c.GetId(), cmp.Or(c.GetFrom(), "-"), c.GetTo(), what)
			return err
		}, nil
	}
	return nil, fmt.Errorf("-o: %q is neither table nor json", o.format)
}

// watchCalls shows what is told until the context ends. When the connection breaks, it goes on from the last cursor.
func watchCalls(ctx context.Context, client controlv1connect.CallServiceClient, req *controlv1.WatchCallsRequest, show func(*controlv1.WatchCallsResponse) error, notes io.Writer) error {
	began := false
	for {
		err := watchOnce(ctx, client, req, show, &began)
		if ctx.Err() != nil {
			return nil
		}
		if !began || !brokenOff(err) {
			return err
		}
		fmt.Fprintf(notes, "trunkline: %v; going on\n", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchAgain):
		}
	}
}

// watchOnce shows what one stream tells, and notes its last cursor in the request.
func watchOnce(ctx context.Context, client controlv1connect.CallServiceClient, req *controlv1.WatchCallsRequest, show func(*controlv1.WatchCallsResponse) error, began *bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(watchSilence, cancel)
	defer silence.Stop()
	stream, err := client.WatchCalls(ctx, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		*began = true
		silence.Reset(watchSilence)
		a := stream.Msg()
		if err := show(a); err != nil {
			return err
		}
		req.Cursor = cmp.Or(a.GetCursor(), req.Cursor)
	}
	return cmp.Or(stream.Err(), errEnded)
}

var errEnded error = connect.NewError(connect.CodeUnavailable, errors.New("the stream has ended"))

// brokenOff reports whether what ended a stream need not end the next.
func brokenOff(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeCanceled, connect.CodeDeadlineExceeded, connect.CodeInternal, connect.CodeUnknown, connect.CodeAborted:
		var failed *connect.Error
		return errors.As(err, &failed)
	}
	return false
}
