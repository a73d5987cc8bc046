// SPDX-License-Identifier: Apache-2.0

package doctable_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/trunkline/trunkline/services/internal/doctable"
)

var update = flag.Bool("update", false, "write the tables into the documents")

const root = "../../.."

func TestTablesOfEvents(t *testing.T) {
	source := read(t, "proto/trunkline/call/v1/events.proto")
	events, err := doctable.Events(source)
	if err != nil {
		t.Fatal(err)
	}
	for document, table := range map[string]string{
		"README.md":      doctable.Compact(events),
		"docs/events.md": doctable.Full(events),
	} {
		t.Run(document, func(t *testing.T) {
			have := read(t, document)
			want, err := doctable.Insert(have, table)
			if err != nil {
				t.Fatalf("%s: %v", document, err)
			}
			if have == want {
				return
			}
			if !*update {
				t.Fatalf("%s: its table of events is not that of the contract; bring it up to date with: go test ./services/internal/doctable -update", document)
			}
			if err := os.WriteFile(filepath.Join(root, document), []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestEveryEventIsDescribed(t *testing.T) {
	events, err := doctable.Events(read(t, "proto/trunkline/call/v1/events.proto"))
	if err != nil {
		t.Fatal(err)
	}
	if len(events) == 0 {
		t.Fatal("there are no events")
	}
	for _, e := range events {
		if len(e.Authors) == 0 || e.Kind == "unspecified" || e.Sentence[len(e.Sentence)-1] != '.' {
			t.Errorf("%s: an author, a kind and a sentence with a full stop are wanted: %+v", e.Name, e)
		}
	}
}

func TestInsertWantsTheMarkers(t *testing.T) {
	for name, document := range map[string]string{
		"none":         "# A title\n",
		"no end":       "<!-- events:begin -->\n",
		"end too soon": "<!-- events:end -->\n<!-- events:begin -->\n",
	} {
		t.Run(name, func(t *testing.T) {
			if text, err := doctable.Insert(document, "a table\n"); err == nil {
				t.Errorf("got %q, wanted an error", text)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
