// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/probe"
)

func drainCommand() *cobra.Command {
	var path, admin string
	var within time.Duration
	var leave bool
	cmd := &cobra.Command{
		Use: "drain", Short: "Have this machine's bot-scheduler take no new calls, finish those that it has, and end", Args: cobra.NoArgs,
		Long: "Have this machine's bot-scheduler take no new calls, finish those that it has, and end. Calls that come meanwhile go to other\n" +
			"bot-schedulers; where there is none they wait for the next one. Bots that are left when the time is over go on under their\n" +
			"keepers, unless drain is set in the configuration: then they are stopped, and their callers get others.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if admin == "" {
				cfg, err := config.Load(path)
				if err != nil {
					return err
				}
				admin = cfg.Listen.Admin
			}
			url := probe.URL(admin)
			if err := tellToDrain(cmd.Context(), url, within); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "draining")
			if leave {
				return nil
			}
			if err := untilGone(cmd.Context(), url); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ended")
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", app.ConfigPath(), "configuration file (TRUNKLINE_CONFIG)")
	cmd.Flags().StringVar(&admin, "admin", "", "address for health and metrics of the process; goes before the file's listen.admin")
	cmd.Flags().DurationVar(&within, "within", app.DrainWithin, "how long calls may go on at most")
	cmd.Flags().BoolVar(&leave, "no-wait", false, "do not wait until the process has ended")
	return cmd
}

func tellToDrain(ctx context.Context, url string, within time.Duration) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/drain?within="+within.String(), http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no process can be reached: %w", err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1024)) // what could be read
	switch res.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return fmt.Errorf("%s: no bot-scheduler runs in this process", url)
	}
	return fmt.Errorf("%s: %s %s", url, res.Status, bytes.TrimSpace(text))
}

// untilGone waits until nobody answers any more.
func untilGone(ctx context.Context, url string) error {
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for probe.Get(ctx, url+"/healthz") == nil {
		select {
		case <-ctx.Done():
			return errors.New("it goes on draining")
		case <-look.C:
		}
	}
	if ctx.Err() != nil {
		return errors.New("it goes on draining")
	}
	return nil
}
