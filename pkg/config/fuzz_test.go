// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"testing"

	"github.com/trunkline/trunkline/pkg/config"
)

// FuzzParse: no file makes Parse panic or hang; what is refused is refused
// with problems that have their lines in order, and what is taken can be used.
func FuzzParse(f *testing.F) {
	f.Add([]byte(config.Example()))
	f.Add([]byte(minimal))
	for _, c := range broken {
		f.Add([]byte(c.file))
	}
	f.Add([]byte("%YAML 1.2\n---\n? a\n: !!binary aGk=\n..."))
	f.Add([]byte("a: &a [*a]\nb: {<<: [*a, {c: 1e999}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f", data)
		if err == nil {
			for name, a := range c.Agents {
				if argv, err := a.Argv(config.CommandData{CallID: "x"}); err != nil || len(argv) == 0 || argv[0] == "" && a.Command[0] == "" {
					t.Fatalf("agent %s: %q, %v", name, argv, err)
				}
			}
			for _, r := range c.Routes {
				if got := c.Route(r.Number, ""); got.Number != r.Number {
					t.Fatalf("the call to %q takes the route of %q", r.Number, got.Number)
				}
			}
			if c.Route("", "").Agent == "" {
				t.Fatal("a call has no agent")
			}
			return
		}
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) == 0 || c != nil {
			t.Fatalf("%+v, %v", c, err)
		}
		line := 0
		for _, p := range problems {
			if p.Text == "" || p.Line < line {
				t.Fatalf("a problem out of order or without words: %+v", p)
			}
			line = p.Line
		}
	})
}
