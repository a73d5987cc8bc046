// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/daily-sim/simbot"
)

func simCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "sim", Short: "Play with the Daily simulator"}
	cmd.AddCommand(simCallCommand(), simBotCommand())
	return cmd
}

func simCallCommand() *cobra.Command {
	var url, from, to string
	var hold, talk time.Duration
	var out output
	cmd := &cobra.Command{
		Use: "call", Short: "Have a simulated phone call a number", Args: cobra.NoArgs,
		Example: "  trunkline sim call --from +14155550123 --to +14155550100 --talk 5s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := json.Marshal(sim.CallSpec{From: from, To: to, Hold: sim.Duration(hold), Talk: sim.Duration(talk)})
			if err != nil {
				return err
			}
			var placed sim.Call
			if err := post(cmd.Context(), strings.TrimSuffix(url, "/")+"/sim/calls", body, &placed); err != nil {
				return err
			}
			return out.show(cmd, placed, func(row func(...any)) {
				row("ID", "TO", "STATE")
				row(placed.ID, placed.To, placed.State)
			})
		},
	}
	cmd.Flags().StringVar(&url, "sim", fmt.Sprintf("http://127.0.0.1:%d", simPort), "URL of the simulator")
	cmd.Flags().StringVar(&from, "from", "", "the caller's number; none is an anonymous caller")
	cmd.Flags().StringVar(&to, "to", "+14155550100", "the number called")
	cmd.Flags().DurationVar(&hold, "hold", 0, "the caller's patience; 0 is Daily's")
	cmd.Flags().DurationVar(&talk, "talk", 0, "how long after being connected the caller hangs up; 0 is never")
	out.flag(cmd)
	return cmd
}

// simBotCommand is what agents of simulated bots run.
func simBotCommand() *cobra.Command {
	return &cobra.Command{
		Use: "bot", Short: "Be a simulated bot: the job comes on standard input", Hidden: true, DisableFlagParsing: true,
		Run: func(_ *cobra.Command, args []string) {
			os.Exit(simbot.Main(context.Background(), os.Stdin, args)) // it has its own way with signals
		},
	}
}

// post sends JSON and reads the answer. An error is told in the words of whoever refused.
func post(ctx context.Context, url string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var refused struct{ Error, Info string }
		if json.Unmarshal(data, &refused) == nil && refused.Info != "" {
			return fmt.Errorf("%s: %s", refused.Error, refused.Info)
		}
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return json.Unmarshal(data, answer)
}
