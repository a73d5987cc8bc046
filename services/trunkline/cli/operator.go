// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
)

// operator is where the NATS of an installation is that somebody looks after. Beside `trunkline dev` it needs no
// configuration file.
type operator struct{ nats string }

func (o *operator) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&o.nats, "nats", app.NATSURL(), "URL of NATS (NATS_URL)")
}

func (o *operator) open(cmd *cobra.Command) (jetstream.JetStream, func(), error) {
	cfg := config.Default()
	// For nats.tls and nats.credentials. One that somebody has named must be there.
	if _, err := os.Stat(app.ConfigPath()); err == nil || os.Getenv("TRUNKLINE_CONFIG") != "" {
		if cfg, err = config.Load(app.ConfigPath()); err != nil {
			return nil, nil, err
		}
	}
	if cmd.Flags().Changed("nats") || os.Getenv("NATS_URL") != "" {
		cfg.NATS.URL = o.nats
	}
	secrets, err := config.LoadSecrets(os.Getenv)
	if err != nil {
		return nil, nil, err
	}
	return connectNATS(cmd, app.Options{Config: cfg, Secrets: secrets, Log: app.NewLog(cmd.ErrOrStderr(), cfg.Log)})
}
