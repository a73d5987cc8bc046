// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/trunkline/timeline"
)

func callsCommand() *cobra.Command {
	var c control
	cmd := &cobra.Command{Use: "calls", Short: "See what became of calls"}
	c.flags(cmd)
	cmd.AddCommand(callsListCommand(&c), callsShowCommand(&c), callsWatchCommand(&c), callsEndCommand(&c))
	return cmd
}

func callsListCommand(c *control) *cobra.Command {
	var out output
	var state, direction, outcome string
	req := &controlv1.ListCallsRequest{}
	cmd := &cobra.Command{
		Use: "ls", Short: "List calls, the latest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if err := errors.Join(
				value(&req.State, "state", "STATE_", state, controlv1.State_value),
				value(&req.Direction, "direction", "DIRECTION_", direction, controlv1.Direction_value),
				value(&req.Outcome, "outcome", "OUTCOME_", outcome, callv1.Outcome_value),
			); err != nil {
				return err
			}
			res, err := client.ListCalls(cmd.Context(), req)
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) {
				row("ID", "RECEIVED", "FROM", "TO", "AGENT", "STATE", "OUTCOME", "REASON")
				for _, c := range res.GetCalls() {
					row(c.GetId(), c.GetReceived().AsTime().Local().Format(time.DateTime), from(c), c.GetTo(), c.GetAgent(),
						word(c.GetState(), "STATE_"), word(c.GetOutcome(), "OUTCOME_"), c.GetReason())
				}
			})
		},
	}
	cmd.Flags().Int32VarP(&req.PageSize, "limit", "n", 50, "at most this many")
	cmd.Flags().StringVar(&state, "state", "", "only calls in this state, such as connected or ended")
	cmd.Flags().StringVar(&direction, "direction", "", "only dial-in or dial-out")
	cmd.Flags().StringVar(&req.Agent, "agent", "", "only this agent's calls")
	cmd.Flags().StringVar(&req.Number, "number", "", "only calls from or to this number")
	cmd.Flags().StringVar(&outcome, "outcome", "", "only calls with this outcome, such as completed or missed")
	out.flag(cmd)
	return cmd
}

func callsShowCommand(c *control) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a call and its whole story", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			res, err := client.GetCall(cmd.Context(), &controlv1.GetCallRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) {
				c := res.GetCall()
				row("call", c.GetId())
				row("from", from(c))
				row("to", c.GetTo())
				row("agent", c.GetAgent())
				row("state", word(c.GetState(), "STATE_"))
				if c.GetOutcome() != callv1.Outcome_OUTCOME_UNSPECIFIED {
					row("outcome", word(c.GetOutcome(), "OUTCOME_")+", "+c.GetReason())
				}
				row()
				timeline.Rows(res, row)
			})
		},
	}
	out.flag(cmd)
	return cmd
}

// from is who calls: of a dial-out it is we.
func from(c *controlv1.Call) string {
	if c.GetDirection() == controlv1.Direction_DIRECTION_DIAL_OUT {
		return "-"
	}
	return cmp.Or(c.GetFrom(), "anonymous")
}

// plain shows a message as protobuf's own JSON.
type plain struct{ proto.Message }

func (p plain) MarshalJSON() ([]byte, error) {
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(p.Message)
}

// value makes connected STATE_CONNECTED, and of dial-in DIRECTION_DIAL_IN. Nothing is left as it is.
func value[E ~int32](to *E, flag, prefix, text string, known map[string]int32) error {
	if text == "" {
		return nil
	}
	n := known[prefix+strings.ToUpper(strings.ReplaceAll(text, "-", "_"))]
	if n == 0 {
		return fmt.Errorf("--%s: there is no %q", flag, text)
	}
	*to = E(n)
	return nil
}

// word makes STATE_CONNECTED connected.
func word(value fmt.Stringer, prefix string) string {
	w := strings.ToLower(strings.TrimPrefix(value.String(), prefix))
	if w == "unspecified" {
		return ""
	}
	return w
}
