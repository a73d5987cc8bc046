// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/probe"
	"github.com/trunkline/trunkline/services/trunkline/supervise"
)

func healthCommand() *cobra.Command {
	var path, admin, url string
	cmd := &cobra.Command{
		Use: "health", Short: "Ask a process that serves whether it can do its work; fails if it cannot", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url != "" {
				return probe.Get(cmd.Context(), url)
			}
			cfg, err := configOrDefault(path, cmd.Flags().Changed("config") || os.Getenv("TRUNKLINE_CONFIG") != "")
			if err != nil {
				return err
			}
			return app.HealthAt(cmd.Context(), cmp.Or(admin, cfg.Listen.Admin))
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", app.ConfigPath(), "configuration file (TRUNKLINE_CONFIG)")
	cmd.Flags().StringVar(&admin, "admin", "", "address for health and metrics; goes before the file's listen.admin")
	cmd.Flags().StringVar(&url, "url", "", "ask this URL instead, and want a 200")
	return cmd
}

func superviseCommand() *cobra.Command {
	var p supervise.Program
	cmd := &cobra.Command{
		Use: "supervise --url URL -- PROGRAM [ARGUMENT...]", Short: "Run a program, and end it when it has stopped being well", Args: cobra.MinimumNArgs(1),
		Example: "  trunkline supervise --url http://127.0.0.1:8222/healthz -- nats-server -c nats.conf",
		RunE: func(cmd *cobra.Command, argv []string) error {
			p.Argv, p.Log = argv, app.NewLog(cmd.ErrOrStderr(), config.Default().Log).With("service", "supervise")
			return p.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&p.URL, "url", "", "what answers 200 while the program is well")
	cmd.Flags().DurationVar(&p.Every, "every", 5*time.Second, "time between two looks")
	cmd.Flags().IntVar(&p.Failures, "failures", 3, "looks in a row that make it ill, once it has been well")
	cmd.Flags().StringVar(&p.Fatal, "fatal", "", "text of an answer that counts before it has been well, too")
	cmd.Flags().BoolVar(&p.OnlyFatal, "only-fatal", false, "count nothing else: a server of a cluster is not well without its peers, and would be none the better for a new start")
	cmd.Flags().DurationVar(&p.Grace, "grace", 20*time.Second, "time between SIGTERM and SIGKILL")
	_ = cmd.MarkFlagRequired("url") // it is there
	return cmd
}
