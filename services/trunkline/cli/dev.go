// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/trunkline/demo"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// simPort is where the simulator listens unless told otherwise.
const simPort = 7700

func devCommand() *cobra.Command {
	var path, dir string
	var unsigned, free bool
	cmd := &cobra.Command{
		Use: "dev", Short: "Run everything in this process, with NATS and the Daily simulator, until Ctrl-C", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := devConfig(path)
			if err != nil {
				return err
			}
			given, err := config.LoadSecrets(os.Getenv)
			if err != nil {
				return err
			}
			ports := stack.Ports{NATS: 4222, Sim: simPort}
			if free {
				stack.FreePorts(cfg)
				ports = stack.Ports{}
			}
			s, err := stack.Start(cmd.Context(), stack.Options{
				Dir: dir, Config: cfg, Given: given, Ports: ports, UnsignedWebhooks: unsigned,
				Sim: stack.DevPhones, Log: app.NewLog(cmd.ErrOrStderr(), cfg.Log),
			})
			if err != nil {
				return err
			}
			if err := os.WriteFile(keyFile(dir), []byte(s.Key.Reveal()+"\n"), 0o600); err != nil {
				return errors.Join(err, s.Stop())
			}
			greet(cmd.OutOrStdout(), s, keyFile(dir))
			select {
			case <-cmd.Context().Done():
			case <-s.Done():
			}
			return s.Stop()
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file; without one, simulated bots answer")
	cmd.Flags().StringVar(&dir, "dir", devDir, "where NATS keeps its files, and the API key is left")
	cmd.Flags().BoolVar(&free, "free-ports", false, "listen on whatever ports are free, and say which")
	cmd.Flags().BoolVar(&unsigned, "unsigned-webhooks", false, "take webhooks that nobody signed")
	return cmd
}

func devConfig(path string) (*config.Config, error) {
	if path == "" {
		return stack.DevConfig()
	}
	return config.Load(path)
}

func greet(w io.Writer, s *stack.Stack, keyFile string) {
	fmt.Fprintf(w, `
Trunkline is up.

  webhooks   %s%s
  bots       %s (the gateway)
  calls      %s (Connect RPC)
  transfers  %s (the same)
  health     %s/readyz, /metrics
  simulator  %s/sim/calls
  NATS       %s
  API key    %s (%s; in %s)

Place a call, or have somebody called:

  curl -s -d '{"from":"+14155550123","to":"+14155550100","talk":"5s"}' %s/sim/calls
  trunkline call +14155550123 --agent caller

and look at it with "trunkline calls ls" and "trunkline calls show ID". While it lasts, "trunkline transfer ID --to supervisor"
hands its caller over. Ctrl-C ends everything.

`, s.URLs["ingress"], s.Config.Ingress.DialinPaths[0], s.URLs["gateway"], s.URLs["control"], s.URLs["transfer"], s.URLs["admin"], s.URLs["sim"], s.URLs["nats"],
		s.Key.Reveal(), auth.Admin, keyFile, s.URLs["sim"])
}

func demoCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Play a few calls on a Trunkline of its own, and show what became of them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "trunkline-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			logs := io.Discard
			if verbose {
				logs = cmd.ErrOrStderr()
			}
			return demo.Play(cmd.Context(), dir, cmd.OutOrStdout(), logs)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the services' logs")
	return cmd
}
