// SPDX-License-Identifier: Apache-2.0

// Package cli is Trunkline's command line.
package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
)

// Main runs the command line and exits.
func Main() {
	ctx, stop := app.UntilStopped()
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "trunkline:", err)
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "trunkline", Short: "The call plane for Pipecat phone bots on Daily",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(
		devCommand(), demoCommand(), serveCommand(), setupCommand(), simCommand(), callCommand(), callsCommand(), policyCommand(),
		transferCommand(), transfersCommand(), targetsCommand(), keysCommand(), dlqCommand(), drainCommand(), benchCommand(), natsCommand(), healthCommand(), superviseCommand(),
	)
	return root
}

// output is how a reading command shows what it has read.
type output struct{ format string }

func (o *output) flag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.format, "output", "o", "table", "table or json")
}

// show writes a value as JSON, or else as the rows that table makes of it.
func (o *output) show(cmd *cobra.Command, value any, table func(row func(cells ...any))) error {
	switch o.format {
	case "json":
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	case "table":
		return rows(cmd.OutOrStdout(), table)
	}
	return fmt.Errorf("-o: %q is neither table nor json", o.format)
}

func rows(out io.Writer, table func(row func(cells ...any))) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	table(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}
