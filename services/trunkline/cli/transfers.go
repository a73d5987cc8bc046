// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

func transfersCommand() *cobra.Command {
	var t transfers
	cmd := &cobra.Command{Use: "transfers", Short: "See what became of transfers"}
	t.flags(cmd)
	cmd.AddCommand(transfersShowCommand(&t), transfersWatchCommand(&t), transfersCancelCommand(&t))
	return cmd
}

func transfersShowCommand(t *transfers) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "show CALL [N]", Short: "Show a call's transfer, the latest or number N", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args[1:])
			if err != nil {
				return err
			}
			client, err := t.client()
			if err != nil {
				return err
			}
			res, err := client.GetTransfer(cmd.Context(), &transferv1.GetTransferRequest{Call: args[0], N: n})
			if err == nil && res.GetTransfer() == nil {
				err = errNoTransfer
			}
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) { transferRows(res.GetTransfer(), row) })
		},
	}
	out.flag(cmd)
	return cmd
}

func transfersCancelCommand(t *transfers) *cobra.Command {
	var out output
	var detail string
	cmd := &cobra.Command{
		Use: "cancel CALL [N]", Short: "Take a transfer back that is not completed: the caller goes on with the bot", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := number(args[1:])
			if err != nil {
				return err
			}
			client, err := t.client()
			if err != nil {
				return err
			}
			res, err := client.CancelTransfer(cmd.Context(), &transferv1.CancelTransferRequest{Call: args[0], N: n, Detail: detail})
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) { transferRows(res.GetTransfer(), row) })
		},
	}
	cmd.Flags().StringVar(&detail, "detail", "", "why, for people; goes into the record")
	out.flag(cmd)
	return cmd
}

func transfersWatchCommand(t *transfers) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "watch CALL", Short: "Show a call's transfer, and then every change, until the call is over", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := t.client()
			if err != nil {
				return err
			}
			f := follower{client: client, call: args[0], notes: cmd.ErrOrStderr(), enough: func() bool { return false }}
			switch w := cmd.OutOrStdout(); out.format {
			case "json":
				lines := json.NewEncoder(w)
				f.show = func(a *transferv1.WatchTransferResponse) error { return lines.Encode(plain{a}) }
			case "table":
				f.show = func(a *transferv1.WatchTransferResponse) error {
					_, err := fmt.Fprintln(w, transferLine(a.GetTransfer()))
					return err
				}
			default:
				return fmt.Errorf("-o: %q is neither table nor json", out.format)
			}
			return f.follow(cmd.Context())
		},
	}
	out.flag(cmd)
	return cmd
}

// number is the number of a transfer; none is 0.
func number(args []string) (uint32, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("N: %q is not the number of a transfer, which counts from 1", args[0])
	}
	return uint32(n), nil
}

// follower follows a call's transfers.
type follower struct {
	client transferv1connect.TransferServiceClient
	call   string
	show   func(*transferv1.WatchTransferResponse) error // every change, once
	enough func() bool                                   // nothing more is wanted
	notes  io.Writer

	began    bool
	n        uint32
	revision uint64 // of n, the last that was shown
}

// follow shows what is told until the call is over, enough was shown, or the context ends. When the connection breaks, it
// goes on with another.
func (f *follower) follow(ctx context.Context) error {
	for {
		err := f.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil || f.enough():
			return err
		case errors.Is(err, errSilent):
			continue
		case !f.began || !brokenOff(err):
			return err
		}
		fmt.Fprintf(f.notes, "trunkline: %v; going on\n", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchAgain):
		}
	}
}

func (f *follower) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(watchSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := f.client.WatchTransfer(ctx, &transferv1.WatchTransferRequest{Call: f.call})
	if err != nil {
		return cause(ctx, err)
	}
	defer stream.Close()
	for stream.Receive() {
		f.began = true
		silence.Reset(watchSilence)
		t := stream.Msg().GetTransfer()
		if t == nil || t.GetN() < f.n || t.GetN() == f.n && t.GetRevision() <= f.revision {
			continue
		}
		f.n, f.revision = t.GetN(), t.GetRevision()
		if err := f.show(stream.Msg()); err != nil {
			return err
		}
		if f.enough() {
			return nil
		}
	}
	return cause(ctx, stream.Err())
}

// cause is what ended a stream, if it was not the other side.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); errors.Is(why, errSilent) {
		return why
	}
	return err
}

var (
	// errSilent says that nothing has come for long, which may be for want of changes. Another stream tells.
	errSilent     = errors.New("nothing was told")
	errNoTransfer = connect.NewError(connect.CodeNotFound, errors.New("the call has no such transfer"))
)
