// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/trunkline/stack"
)

func natsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "nats", Short: "Look after NATS's users"}
	cmd.AddCommand(&cobra.Command{
		Use: "keys FOLDER", Short: "Make new keys for the users of NATS", Args: cobra.ExactArgs(1),
		Long: `Make new keys for the users of NATS. For each user the folder gets a seed, USER.nk: the service reads it, as
NATS_NKEY_FILE. What public.env holds is for NATS's environment: the users' public keys, which deploy/nats/users.conf refers to.
Files that are there are not overwritten.`,
		Example: "  trunkline nats keys nats-keys",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := writeKeys(args[0]); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "made the keys of", strings.Join(stack.NATSUsers(), ", "))
			return nil
		},
	})
	return cmd
}

// writeKeys lets everybody who may enter the folder read the seeds: a container reads its own as another user.
func writeKeys(folder string) error {
	public, seeds, err := stack.NewNKeys()
	if err != nil {
		return err
	}
	env, files := "", map[string]string{}
	for _, user := range stack.NATSUsers() {
		env += fmt.Sprintf("%s=%s\n", stack.PublicVariable(user), public[user])
		files[user+".nk"] = seeds[user].Reveal() + "\n"
	}
	files["public.env"] = env
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o700); err != nil { //nolint:gosec // one that was there is its owner's alone from now on
		return err
	}
	for name := range files {
		if _, err := os.Stat(filepath.Join(folder, name)); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is there already", filepath.Join(folder, name))
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil { //nolint:gosec // see above
			return err
		}
	}
	return nil
}

// readKeys gives each service its own seed.
func readKeys(folder string, services []app.Service) (map[string]config.Secret, error) {
	keys := map[string]config.Secret{}
	for _, s := range services {
		seed, err := os.ReadFile(filepath.Join(folder, s.Name+".nk"))
		if err != nil {
			return nil, fmt.Errorf("--nats-keys: %w", err)
		}
		keys[s.Name] = config.Secret(strings.TrimSpace(string(seed)))
	}
	return keys, nil
}
