// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

func transferCommand() *cobra.Command {
	var t transfers
	var out output
	var watch bool
	req := &transferv1.RequestTransferRequest{}
	cmd := &cobra.Command{
		Use: "transfer CALL --to TARGET", Short: "Have a caller handed over to a person", Args: cobra.ExactArgs(1),
		Long: `Have a caller handed over to a person. The request carries an idempotency key: the same one gives the same transfer back.
Without --idempotency-key one is made up, and told on standard error.`,
		Example: `  trunkline transfer CALL --to supervisor --mode warm --summary "Wants his money back." --watch
  trunkline transfer CALL --number +14155550123`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Call = args[0]
			if req.IdempotencyKey == "" {
				req.IdempotencyKey = uuid.NewString()
				fmt.Fprintln(cmd.ErrOrStderr(), "idempotency key", req.IdempotencyKey)
			}
			client, err := t.client()
			if err != nil {
				return err
			}
			res, err := client.RequestTransfer(cmd.Context(), req)
			if err != nil {
				return err
			}
			show := func() error {
				return out.show(cmd, plain{res}, func(row func(...any)) {
					transferRows(res.GetTransfer(), row)
					row("replayed", res.GetReplayed())
				})
			}
			if !watch {
				return show()
			}
			say := io.Discard
			if out.format == "table" {
				if err := show(); err != nil {
					return err
				}
				say = cmd.OutOrStdout()
			}
			if res.Transfer, err = followTransfer(cmd, client, res.GetTransfer(), say); err != nil {
				return err
			}
			if out.format != "table" {
				err = show()
			}
			return errors.Join(err, handedOver(res.GetTransfer()))
		},
	}
	t.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&req.Target, "to", "", "the target: trunkline targets lists them")
	flags.StringVar(&req.Number, "number", "", "a number in E.164, or a SIP URI, in place of a target; the key needs the scope transfers:number")
	flags.StringVar(&req.Mode, "mode", "cold", "cold, warm (the person is told first what it is about), blind or refer")
	flags.StringVar(&req.Summary, "summary", "", "what the bot tells the person who is called")
	flags.StringVar(&req.Announcement, "announcement", "", "what the bot tells the caller before")
	flags.StringVar(&req.IdempotencyKey, "idempotency-key", "", "the same key gives the same transfer back")
	flags.BoolVar(&watch, "watch", false, "follow the transfer to its end; fails if it is not completed")
	cmd.MarkFlagsOneRequired("to", "number")
	cmd.MarkFlagsMutuallyExclusive("to", "number")
	out.flag(cmd)
	return cmd
}

// followTransfer tells how a transfer goes, until it is over.
func followTransfer(cmd *cobra.Command, client transferv1connect.TransferServiceClient, t *transferv1.Transfer, say io.Writer) (*transferv1.Transfer, error) {
	passed := over(t)
	f := follower{client: client, call: t.GetCall(), notes: cmd.ErrOrStderr(), began: true, enough: func() bool { return passed }}
	f.show = func(a *transferv1.WatchTransferResponse) error {
		passed = a.GetTransfer().GetN() > t.GetN()
		if a.GetTransfer().GetN() != t.GetN() {
			return nil
		}
		t = a.GetTransfer()
		passed = over(t)
		_, err := fmt.Fprintln(say, transferLine(t))
		return err
	}
	if !passed {
		if err := f.follow(cmd.Context()); err != nil {
			return nil, err
		}
	}
	if over(t) {
		return t, nil
	}
	if cmd.Context().Err() != nil {
		return nil, fmt.Errorf("transfer %d of call %s goes on", t.GetN(), t.GetCall())
	}
	// The call was over, or its next transfer begun, before the last change of this one was told.
	res, err := client.GetTransfer(cmd.Context(), &transferv1.GetTransferRequest{Call: t.GetCall(), N: t.GetN()})
	return res.GetTransfer(), err
}

// transferRows are what is known of a transfer.
func transferRows(t *transferv1.Transfer, row func(...any)) {
	row("call", t.GetCall())
	row("transfer", t.GetN())
	if t.GetTarget() != "" {
		row("target", t.GetTarget())
	}
	row("mode", t.GetMode())
	row("state", word(t.GetState(), "STATE_"))
	if t.GetReason() != "" {
		row("reason", reason(t))
	}
	if t.GetMoved() {
		row("caller", strings.TrimSuffix("sent away, "+t.GetTold(), ", "))
	}
	row("asked by", t.GetRequestedBy())
	row("asked at", t.GetRequested().AsTime().Local().Format(time.DateTime))
	if t.GetFinished() != nil {
		row("over at", t.GetFinished().AsTime().Local().Format(time.DateTime))
	}
	for _, l := range t.GetLegs() {
		row(fmt.Sprint("try ", l.GetK()), legText(l))
	}
}

// transferLine is how a transfer stands, in a line.
func transferLine(t *transferv1.Transfer) string {
	parts := []string{fmt.Sprintf("transfer %d", t.GetN()), t.GetMode(), word(t.GetState(), "STATE_")}
	if t.GetReason() != "" {
		parts = append(parts, reason(t))
	}
	if t.GetMoved() && t.GetTold() != "" {
		parts = append(parts, t.GetTold())
	}
	for _, l := range t.GetLegs() {
		parts = append(parts, legText(l))
	}
	return time.Now().Format("15:04:05.000") + "  " + strings.Join(parts, "  ")
}

func legText(l *transferv1.Leg) string {
	text := l.GetTo() + " " + l.GetState()
	if l.GetCause() != "" {
		text += ", " + l.GetCause()
	}
	if l.GetDetail() != "" {
		text += ": " + l.GetDetail()
	}
	return text
}

func reason(t *transferv1.Transfer) string {
	if t.GetDetail() == "" {
		return t.GetReason()
	}
	return t.GetReason() + ": " + t.GetDetail()
}

// over reports whether nothing more comes of a transfer. What becomes of a caller who was sent away is Daily's, and told as
// far as Daily tells.
func over(t *transferv1.Transfer) bool {
	switch t.GetState() {
	case transferv1.State_STATE_COMPLETED, transferv1.State_STATE_FAILED, transferv1.State_STATE_CANCELLED:
		return true
	}
	return false
}

// handedOver is an error that tells why a transfer was not completed, or nil.
func handedOver(t *transferv1.Transfer) error {
	if t.GetState() == transferv1.State_STATE_COMPLETED {
		return nil
	}
	return fmt.Errorf("the transfer was not completed: %s, %s", word(t.GetState(), "STATE_"), reason(t))
}

func targetsCommand() *cobra.Command {
	var t transfers
	var out output
	req := &transferv1.ListTargetsRequest{}
	cmd := &cobra.Command{
		Use: "targets", Short: "List those to whom callers can be handed over", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := t.client()
			if err != nil {
				return err
			}
			res, err := client.ListTargets(cmd.Context(), req)
			if err != nil {
				return err
			}
			return out.show(cmd, plain{res}, func(row func(...any)) {
				row("NAME", "MODES", "OPEN", "DESCRIPTION")
				for _, t := range res.GetTargets() {
					open := "yes"
					if !t.GetOpen() {
						open = "no"
						if t.GetOpensAt() != nil {
							open = "from " + t.GetOpensAt().AsTime().Local().Format(time.DateTime)
						}
					}
					row(t.GetName(), strings.Join(t.GetModes(), " "), open, t.GetDescription())
				}
			})
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&req.Call, "call", "", "only those that this call's agent may use")
	out.flag(cmd)
	return cmd
}
