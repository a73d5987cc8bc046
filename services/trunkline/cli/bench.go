// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/services/trunkline/bench"
)

// benchCommand is what `make bench` runs.
func benchCommand() *cobra.Command {
	var profiles string
	var out output
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure a Trunkline of its own under load", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "trunkline-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			report, err := bench.Run(cmd.Context(), bench.Options{
				Dir: dir, Profiles: profiles, Logs: cmd.ErrOrStderr(),
				Say: func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) },
			})
			if err != nil {
				return err
			}
			if out.format != "table" {
				return out.show(cmd, report, nil)
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "%s, %s, %s\n\n", report.Date, report.Machine, report.Go)
			first := true
			report.Rows(func(cells ...string) {
				fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
				if first {
					fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|---", len(cells)-1))
				}
				first = false
			})
			return nil
		},
	}
	cmd.Flags().StringVar(&profiles, "profiles", "", "folder for pprof files of whole calls; nothing else is measured then")
	out.flag(cmd)
	return cmd
}
