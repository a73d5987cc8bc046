// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

func setupCommand() *cobra.Command {
	var p place
	var out output
	var dryRun, force bool
	cmd := &cobra.Command{
		Use: "setup", Short: "Create the streams, consumers and buckets that the services need", Args: cobra.NoArgs,
		Long: `Creates the streams, consumers and buckets that the services need, or brings them up to date.

Every change is listed before the first is made. If one of them could lose what is stored or promised, such as a
shorter max_age, or is one that NATS cannot make, nothing is changed: the error names each such change, and the exit
status is 1. Otherwise it is 0, with --dry-run as well.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := p.load()
			if err != nil {
				return err
			}
			js, done, err := connectNATS(cmd, o)
			if err != nil {
				return err
			}
			defer done()
			settings := bus.Settings{Replicas: o.Config.NATS.Replicas, MaxAge: o.Config.NATS.MaxAge}
			plan, err := bus.MakePlan(cmd.Context(), js, settings, stack.Needs()...)
			if err != nil {
				return err
			}
			err = out.show(cmd, append([]bus.Change{}, plan.Changes...), func(row func(...any)) {
				for _, c := range plan.Changes {
					row(c.Text)
				}
			})
			if err != nil {
				return err
			}
			if err := plan.Refused(force); err != nil {
				return err
			}
			say := func(what string) {
				if out.format == "table" {
					fmt.Fprintln(cmd.OutOrStdout(), what)
				}
			}
			switch {
			case len(plan.Changes) == 0:
				say("nothing to change")
			case dryRun:
				say("dry run: nothing has been changed")
			default:
				if err := plan.Apply(cmd.Context(), force); err != nil {
					return err
				}
				say("done")
			}
			return nil
		},
	}
	p.flags(cmd)
	out.flag(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would be changed")
	cmd.Flags().BoolVar(&force, "force", false, "also make changes that lose something, where NATS is able to")
	return cmd
}
