// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
)

func dlqCommand() *cobra.Command {
	var nats string
	cmd := &cobra.Command{Use: "dlq", Short: "See to what could not be handled"}
	cmd.PersistentFlags().StringVar(&nats, "nats", app.NATSURL(), "URL of NATS (NATS_URL)")
	open := func(cmd *cobra.Command) (jetstream.JetStream, func(), error) {
		cfg := config.Default()
		if _, err := os.Stat(app.ConfigPath()); err == nil { // for nats.tls and nats.credentials
			if cfg, err = config.Load(app.ConfigPath()); err != nil {
				return nil, nil, err
			}
		}
		if cmd.Flags().Changed("nats") || os.Getenv("NATS_URL") != "" {
			cfg.NATS.URL = nats
		}
		secrets, err := config.LoadSecrets(os.Getenv)
		if err != nil {
			return nil, nil, err
		}
		return connect(cmd, app.Options{Config: cfg, Secrets: secrets, Log: app.NewLog(cmd.ErrOrStderr(), cfg.Log)})
	}
	cmd.AddCommand(dlqListCommand(open), dlqRedriveCommand(open))
	return cmd
}

type opener func(*cobra.Command) (jetstream.JetStream, func(), error)

func dlqListCommand(open opener) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "ls", Short: "List the dead letters", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			js, done, err := open(cmd)
			if err != nil {
				return err
			}
			defer done()
			letters, err := bus.ListDeadLetters(cmd.Context(), js)
			if err != nil {
				return err
			}
			return out.show(cmd, letters, func(row func(...any)) {
				row("SEQ", "SINCE", "SERVICE", "SUBJECT", "ERROR")
				for _, l := range letters {
					first, _, _ := strings.Cut(l.Error, "\n")
					row(l.Seq, l.Buried.Local().Format(time.DateTime), l.Service, l.Subject, first)
				}
			})
		},
	}
	out.flag(cmd)
	return cmd
}

func dlqRedriveCommand(open opener) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "redrive SEQ... | --all", Short: "Give dead letters back to the services that could not handle them",
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("name the dead letters by their SEQ, or say --all")
			}
			js, done, err := open(cmd)
			if err != nil {
				return err
			}
			defer done()
			var seqs []uint64
			for _, arg := range args {
				seq, err := strconv.ParseUint(arg, 10, 64)
				if err != nil {
					return fmt.Errorf("%q is not the SEQ of a dead letter", arg)
				}
				seqs = append(seqs, seq)
			}
			if all {
				letters, err := bus.ListDeadLetters(cmd.Context(), js)
				if err != nil {
					return err
				}
				for _, l := range letters {
					seqs = append(seqs, l.Seq)
				}
			}
			for _, seq := range seqs {
				if err := bus.Redrive(cmd.Context(), js, seq); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "redriven", seq)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all of them")
	return cmd
}
