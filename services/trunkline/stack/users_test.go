// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"flag"
	"os"
	"testing"

	"github.com/trunkline/trunkline/services/trunkline/stack"
)

var update = flag.Bool("update", false, "write the users of NATS into deploy/nats")

func TestUsersOfNATSHaveTheRightsThatTheServicesNeed(t *testing.T) {
	const path = "../../../deploy/nats/users.conf"
	if *update {
		if err := os.WriteFile(path, []byte(stack.UsersConf("")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != stack.UsersConf("") {
		t.Errorf("%s is not what the services need; bring it up to date with make gen", path)
	}
}
