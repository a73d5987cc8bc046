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

// configOrDefault is the configuration of a file, or that of `trunkline dev`. A file that somebody has named must be there.
func configOrDefault(path string, named bool) (*config.Config, error) {
	if _, err := os.Stat(path); err == nil || named {
		return config.Load(path)
	}
	return config.Default(), nil
}

func (o *operator) open(cmd *cobra.Command) (jetstream.JetStream, func(), error) {
	cfg, err := configOrDefault(app.ConfigPath(), os.Getenv("TRUNKLINE_CONFIG") != "") // for nats.tls and nats.credentials
	if err != nil {
		return nil, nil, err
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
