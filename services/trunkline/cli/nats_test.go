// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/trunkline/trunkline/services/trunkline/stack"
)

func TestEachServiceFindsItsOwnKey(t *testing.T) {
	folder := t.TempDir()
	if err := writeKeys(folder); err != nil {
		t.Fatal(err)
	}
	keys, err := readKeys(folder, stack.Services())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range stack.Services() {
		seed := keys[s.Name].Reveal()
		if _, err := nkeys.FromSeed([]byte(seed)); err != nil || seen[seed] {
			t.Errorf("%s: %v, somebody else's: %t", s.Name, err, seen[seed])
		}
		seen[seed] = true
	}
	if err := writeKeys(folder); err == nil {
		t.Error("keys are overwritten")
	}
	if _, err := readKeys(t.TempDir(), stack.Services()); err == nil || !strings.Contains(err.Error(), "--nats-keys") {
		t.Errorf("a folder without keys: %v", err)
	}
}
