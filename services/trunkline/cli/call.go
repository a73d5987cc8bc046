// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/trunkline/timeline"
)

// lookEvery is how often a call that is waited for is looked at.
const lookEvery = 500 * time.Millisecond

func callCommand() *cobra.Command {
	var c control
	var out output
	var flags startFlags
	var wait bool
	cmd := &cobra.Command{
		Use: "call NUMBER --agent AGENT", Short: "Have somebody called", Args: cobra.ExactArgs(1),
		Long: `Have somebody called. The request carries an idempotency key: the same one gives the same call back, and nobody is called
twice. Without --idempotency-key one is made up, and told on standard error. Times are written in full or from now, as
2026-12-01T09:00:00-05:00 or 10m.`,
		Example: `  trunkline call +14155550123 --agent support --wait
  trunkline call +14155550123 --agent support --not-before 10m --retry no_answer:15m:2 --metadata order=1234`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := flags.request(args[0], time.Now())
			if err != nil {
				return err
			}
			if req.IdempotencyKey == "" {
				req.IdempotencyKey = uuid.NewString()
				fmt.Fprintln(cmd.ErrOrStderr(), "idempotency key", req.IdempotencyKey)
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			res, err := client.StartCall(cmd.Context(), req)
			if policy := timeline.Refusal(err); policy != nil {
				return errors.Join(rows(cmd.ErrOrStderr(), func(row func(...any)) { timeline.Verdicts(policy, row) }), err)
			}
			if err != nil {
				return err
			}
			show := func() error {
				return out.show(cmd, plain{res}, func(row func(...any)) {
					callRows(res.GetCall(), row)
					row("replayed", res.GetReplayed())
				})
			}
			if !wait {
				return show()
			}
			say := io.Discard
			if out.format == "table" {
				if err := show(); err != nil {
					return err
				}
				say = cmd.OutOrStdout()
			}
			if res.Call, err = follow(cmd.Context(), client, res.GetCall().GetId(), say); err != nil {
				return err
			}
			if out.format != "table" {
				err = show()
			}
			return errors.Join(err, became(res.GetCall()))
		},
	}
	c.flags(cmd)
	flags.flags(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the call to its end; fails if it is not completed")
	out.flag(cmd)
	return cmd
}

// callRows are what is known of a call.
func callRows(c *controlv1.Call, row func(...any)) {
	row("call", c.GetId())
	row("to", c.GetTo())
	row("agent", c.GetAgent())
	row("state", word(c.GetState(), "STATE_"))
	if at := c.GetNotBefore().AsTime(); at.After(time.Now()) {
		row("not before", at.Local().Format(time.RFC3339))
	}
	if c.GetDials() > 0 {
		row("dials", c.GetDials())
	}
	if c.GetState() == controlv1.State_STATE_ENDED {
		row("outcome", outcome(c))
	}
}

// outcome is what a call has come to, in a line.
func outcome(c *controlv1.Call) string {
	text := word(c.GetOutcome(), "OUTCOME_") + ", " + c.GetReason()
	if c.GetDetail() != "" {
		text += ": " + c.GetDetail()
	}
	return text
}

// became is an error that tells why a call that is over was not completed, or nil.
func became(c *controlv1.Call) error {
	if c.GetOutcome() == callv1.Outcome_OUTCOME_COMPLETED {
		return nil
	}
	return errors.New("the call was not completed: " + outcome(c))
}

// follow tells a call's story as it grows, until the call is over. A call-control that is away for a while is waited for.
func follow(ctx context.Context, client controlv1connect.CallServiceClient, id string, w io.Writer) (*controlv1.Call, error) {
	told := 0
	for {
		res, err := client.GetCall(ctx, &controlv1.GetCallRequest{Id: id})
		switch {
		case err == nil:
			n := 0
			timeline.Rows(res, func(cells ...any) {
				if n++; n > told {
					fmt.Fprintf(w, "%-56v%-11v%-18v%v\n", cells...)
				}
			})
			if told = n; res.GetCall().GetState() == controlv1.State_STATE_ENDED {
				return res.GetCall(), nil
			}
		case connect.CodeOf(err) != connect.CodeUnavailable:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("call %s goes on", id)
		case <-time.After(lookEvery):
		}
	}
}

func callsEndCommand(c *control) *cobra.Command {
	var out output
	var detail string
	cmd := &cobra.Command{
		Use: "end ID", Short: "End a call, whether it is scheduled, rings or is talked on", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			res, err := client.EndCall(cmd.Context(), &controlv1.EndCallRequest{Id: args[0], Detail: detail})
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) { callRows(res.GetCall(), row) })
		},
	}
	cmd.Flags().StringVar(&detail, "detail", "", "why, for people; goes into the record")
	out.flag(cmd)
	return cmd
}
