// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/trunkline/timeline"
)

func policyCommand() *cobra.Command {
	var c control
	cmd := &cobra.Command{Use: "policy", Short: "Ask who may be called"}
	c.flags(cmd)
	cmd.AddCommand(policyExplainCommand(&c))
	return cmd
}

func policyExplainCommand(c *control) *cobra.Command {
	var out output
	var agent string
	var at moment
	cmd := &cobra.Command{
		Use: "explain NUMBER --agent AGENT", Short: "Show what each rule says of a call; nobody is called", Args: cobra.ExactArgs(1),
		Example: "  trunkline policy explain +442079460000 --agent support --at 2026-12-01T18:00:00Z",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			res, err := client.ExplainPolicy(cmd.Context(), &controlv1.ExplainPolicyRequest{To: args[0], Agent: agent, At: at.timestamp(time.Now())})
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) {
				timeline.Verdicts(res, row)
				row()
				row(strings.TrimSpace(word(res.GetDecision(), "DECISION_") + " " + res.GetRule()))
			})
		},
	}
	cmd.Flags().StringVar(&agent, "agent", "", "the agent that would talk")
	cmd.Flags().Var(&at, "at", "when the call would be made; now if not given")
	_ = cmd.MarkFlagRequired("agent")
	out.flag(cmd)
	return cmd
}
