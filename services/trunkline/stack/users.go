// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/trunkline/trunkline/pkg/config"
)

// Operator is the NATS user of those who look after an installation: `trunkline setup`, `dlq` and `keys`. It may do
// everything that can be done to Trunkline's streams.
const Operator = "operator"

// NATSUsers gives the names of all users of NATS: the operator and the services.
func NATSUsers() []string {
	users := []string{Operator}
	for _, s := range Services() {
		users = append(users, s.Name)
	}
	return users
}

// PublicVariable is the variable that NATS's configuration finds a user's public key in.
func PublicVariable(user string) string {
	return "NATS_PUBLIC_" + strings.ToUpper(strings.ReplaceAll(user, "-", "_"))
}

// UsersConf is the part of NATS's configuration that says who may do what: deploy/nats/users.conf. further are more
// users, in the form of that file.
func UsersConf(further string) string {
	var b strings.Builder
	b.WriteString(`# The users of NATS: one for each service, with what it needs and no more. Made by make gen from what the services
# say that they need; not to be edited. Their public keys come from the environment: trunkline nats keys makes them.
accounts {
  TRUNKLINE {
    jetstream: enabled
    users: [
`)
	fmt.Fprintf(&b, "      { nkey: $%s } # trunkline setup, trunkline dlq, trunkline keys\n", PublicVariable(Operator))
	for _, n := range Needs() {
		rights := n.Rights()
		fmt.Fprintf(&b, "      {\n        nkey: $%s\n        permissions {\n", PublicVariable(n.Service))
		subjects(&b, "publish", rights.Publish)
		subjects(&b, "subscribe", rights.Subscribe)
		b.WriteString("        }\n      }\n")
	}
	b.WriteString(further + `    ]
  }
  SYSTEM {}
}
system_account: SYSTEM
`)
	return b.String()
}

// DeveloperConf is the same with the public keys in it, for a broker of a developer or a test: whoever comes without a
// key may do everything.
func DeveloperConf(public map[string]string) string {
	var b strings.Builder
	for user, key := range public {
		fmt.Fprintf(&b, "%s: %s\n", PublicVariable(user), key)
	}
	b.WriteString("no_auth_user: developer\n")
	return b.String() + UsersConf("      { user: developer, password: developer }\n")
}

func subjects(b *strings.Builder, what string, allow []string) {
	fmt.Fprintf(b, "          %s {\n            allow: [\n", what)
	for _, subject := range allow {
		fmt.Fprintf(b, "              %q\n", subject)
	}
	b.WriteString("            ]\n          }\n")
}

// NewNKeys makes a key for each user of NATS, by its name: its public part, and its seed.
func NewNKeys() (public map[string]string, seeds map[string]config.Secret, err error) {
	public, seeds = map[string]string{}, map[string]config.Secret{}
	for _, user := range NATSUsers() {
		key, err := nkeys.CreateUser()
		if err != nil {
			return nil, nil, err
		}
		seed, err := key.Seed()
		if err != nil {
			return nil, nil, err
		}
		if public[user], err = key.PublicKey(); err != nil {
			return nil, nil, err
		}
		seeds[user] = config.Secret(seed)
	}
	return public, seeds, nil
}
