// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const (
	reference = "../../docs/configuration.md"
	begin     = "<!-- generated from pkg/config/schema.json by go generate: begin -->\n"
	end       = "<!-- generated: end -->\n"
)

// The reference says what the schema says. If it does not, run
//
//	go test ./config -run TestReference -update
func TestReference(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks between which it is generated", reference)
	}
	want := before + begin + tables(keys(t)) + end + after
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the schema: go test ./config -run TestReference -update", reference)
	}
	if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tables has one for the single keys and one for each key that holds others.
func tables(keys []key) string {
	var b strings.Builder
	head := "\n| Key | Type | Default | What for |\n|---|---|---|---|\n"
	b.WriteString("\n### Single keys\n" + head)
	for _, k := range keys {
		if !k.section && !strings.Contains(k.path, ".") {
			b.WriteString(row(k))
		}
	}
	for _, k := range keys {
		switch {
		case k.section && !strings.Contains(k.path, "."):
			required := ""
			if k.required {
				required = " Required."
			}
			fmt.Fprintf(&b, "\n### %s\n\n%s%s\n%s", k.path, k.description, required, head)
		case strings.Contains(k.path, "."):
			b.WriteString(row(k))
		}
	}
	b.WriteString("\n")
	return b.String()
}

func row(k key) string {
	kind := k.kind
	if len(k.enum) > 0 {
		kind = "`" + strings.Join(k.enum, "`, `") + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", k.path, kind, defaultCell(k), k.description)
}

func defaultCell(k key) string {
	switch {
	case k.required:
		return "required"
	case k.def == nil, k.def.Kind == yaml.ScalarNode && k.def.Value == "":
		return ""
	case k.def.Kind == yaml.ScalarNode:
		return "`" + k.def.Value + "`"
	case len(k.def.Content) == 0:
		return "none"
	}
	var items []string
	for _, item := range k.def.Content {
		items = append(items, "`"+words(item)+"`")
	}
	return strings.Join(items, ", ")
}

// words of a default: the values alone, where it has keys.
func words(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return n.Value
	}
	var values []string
	for i := 1; i < len(n.Content); i += 2 {
		values = append(values, n.Content[i].Value)
	}
	return strings.Join(values, " ")
}
