// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/pkg/auth"
)

func keysCommand() *cobra.Command {
	var o operator
	cmd := &cobra.Command{Use: "keys", Short: "Look after API keys"}
	o.flags(cmd)
	open := func(cmd *cobra.Command) (*auth.Keys, func(), error) {
		js, done, err := o.open(cmd)
		if err != nil {
			return nil, nil, err
		}
		keys, err := auth.Open(cmd.Context(), js)
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("%w; trunkline setup makes it", err)
		}
		return keys, done, nil
	}
	cmd.AddCommand(keysAddCommand(open), keysListCommand(open), keysRevokeCommand(open))
	return cmd
}

type keysOpener func(*cobra.Command) (*auth.Keys, func(), error)

func keysAddCommand(open keysOpener) *cobra.Command {
	var scopes []string
	cmd := &cobra.Command{
		Use: "add NAME --scope SCOPE...", Short: "Make a key, and print it: it cannot be seen again", Args: cobra.ExactArgs(1),
		Example: "  trunkline keys add crm --scope calls:read --scope calls:write",
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, done, err := open(cmd)
			if err != nil {
				return err
			}
			defer done()
			token, err := keys.Add(cmd.Context(), args[0], scopes...)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what the key is good for: "+strings.Join(auth.Scopes(), ", ")+" (everything); may be repeated")
	return cmd
}

func keysListCommand(open keysOpener) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "ls", Short: "List the keys, without their secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, done, err := open(cmd)
			if err != nil {
				return err
			}
			defer done()
			all, err := keys.List(cmd.Context())
			if err != nil {
				return err
			}
			return out.show(cmd, all, func(row func(...any)) {
				row("NAME", "CREATED", "SCOPES")
				for _, k := range all {
					row(k.Name, k.Created.Local().Format(time.DateTime), strings.Join(k.Scopes, " "))
				}
			})
		},
	}
	out.flag(cmd)
	return cmd
}

func keysRevokeCommand(open keysOpener) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "Take a key back: it lets nobody in any more", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, done, err := open(cmd)
			if err != nil {
				return err
			}
			defer done()
			if err := keys.Revoke(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "revoked", args[0])
			return nil
		},
	}
}
