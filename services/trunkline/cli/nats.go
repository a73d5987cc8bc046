// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/services/trunkline/stack"
)

func natsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "nats", Short: "Look after NATS's users"}
	cmd.AddCommand(&cobra.Command{
		Use: "keys", Short: "Make new keys for the users of NATS, as lines for .env", Args: cobra.NoArgs,
		Long: `Make new keys for the users of NATS, as lines for .env: for each user a public key, which NATS's configuration
(deploy/nats/users.conf) reads, and a seed, which is the service's secret (NATS_NKEY in its environment).`,
		Example: "  trunkline nats keys >>.env",
		RunE: func(cmd *cobra.Command, _ []string) error {
			public, seeds, err := stack.NewNKeys()
			if err != nil {
				return err
			}
			for _, user := range stack.NATSUsers() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s=%s\n%s=%s\n", stack.PublicVariable(user), public[user], stack.SeedVariable(user), seeds[user].Reveal())
			}
			return nil
		},
	})
	return cmd
}
