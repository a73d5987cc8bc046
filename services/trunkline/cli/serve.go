// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

// place is where an installation's configuration and its NATS are.
type place struct{ config, nats string }

func (p *place) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&p.config, "config", "c", app.ConfigPath(), "configuration file (TRUNKLINE_CONFIG)")
	cmd.Flags().StringVar(&p.nats, "nats", "", "URL of NATS; goes before NATS_URL and the file's nats.url")
}

func (p *place) load() (app.Options, error) {
	o, err := app.Load(p.config)
	if err == nil && p.nats != "" {
		o.Config.NATS.URL = p.nats
	}
	return o, err
}

func serveCommand() *cobra.Command {
	var p place
	var admin, keys string
	cmd := &cobra.Command{
		Use: "serve SERVICE... | all", Short: "Run services against an outside NATS, as in production", Args: cobra.MinimumNArgs(1),
		Example: "  trunkline serve all\n  trunkline serve ingress call-control --nats nats://nats:4222",
		RunE: func(cmd *cobra.Command, names []string) error {
			services, err := stack.Pick(names...)
			if err != nil {
				return err
			}
			o, err := p.load()
			if err != nil {
				return err
			}
			if admin != "" {
				o.Config.Listen.Admin = admin
			}
			if keys != "" {
				if o.NKeys, err = readKeys(keys, services); err != nil {
					return err
				}
			}
			return app.Run(cmd.Context(), o, services...)
		},
	}
	p.flags(cmd)
	cmd.Flags().StringVar(&admin, "admin", "", "address for health and metrics; goes before the file's listen.admin, where several processes share a machine")
	cmd.Flags().StringVar(&keys, "nats-keys", "", "folder that trunkline nats keys has filled: each service takes its own key")
	return cmd
}

// connectNATS gives a client of the installation's NATS. It waits for one that is not up yet.
func connectNATS(cmd *cobra.Command, o app.Options) (jetstream.JetStream, func(), error) {
	ctx, refuse := context.WithCancelCause(cmd.Context())
	nc, err := app.Connect(o.Config, o.Secrets, "trunkline", o.Log, refuse)
	if err != nil {
		return nil, nil, err
	}
	told := time.AfterFunc(time.Second, func() { fmt.Fprintln(cmd.ErrOrStderr(), "waiting for NATS; --nats and nats.url say where it is") })
	defer told.Stop()
	cmd.SetContext(ctx) // what NATS refuses ends the command
	if err := app.AwaitConnected(ctx, nc); err != nil {
		nc.Close()
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	return js, nc.Close, err
}
