// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
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
	cmd.AddCommand(callsListCommand(&c), callsShowCommand(&c))
	return cmd
}

func callsListCommand(c *control) *cobra.Command {
	var out output
	var limit int32
	cmd := &cobra.Command{
		Use: "ls", Short: "List calls, the latest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			res, err := client.ListCalls(cmd.Context(), &controlv1.ListCallsRequest{PageSize: limit})
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) {
				row("ID", "RECEIVED", "FROM", "TO", "AGENT", "STATE", "OUTCOME", "REASON")
				for _, c := range res.GetCalls() {
					row(c.GetId(), c.GetReceived().AsTime().Local().Format(time.DateTime), cmp.Or(c.GetFrom(), "anonymous"), c.GetTo(), c.GetAgent(),
						word(c.GetState(), "STATE_"), word(c.GetOutcome(), "OUTCOME_"), c.GetReason())
				}
			})
		},
	}
	cmd.Flags().Int32VarP(&limit, "limit", "n", 50, "at most this many")
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
				row("from", cmp.Or(c.GetFrom(), "anonymous"))
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

// plain shows a message as protobuf's own JSON.
type plain struct{ proto.Message }

func (p plain) MarshalJSON() ([]byte, error) {
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(p.Message)
}

// word makes STATE_CONNECTED connected.
func word(value fmt.Stringer, prefix string) string {
	w := strings.ToLower(strings.TrimPrefix(value.String(), prefix))
	if w == "unspecified" {
		return ""
	}
	return w
}
