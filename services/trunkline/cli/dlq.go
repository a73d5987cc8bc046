// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/bus"
)

func dlqCommand() *cobra.Command {
	var o operator
	cmd := &cobra.Command{Use: "dlq", Short: "See to what could not be handled"}
	o.flags(cmd)
	cmd.AddCommand(dlqListCommand(o.open), dlqRedriveCommand(o.open))
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
