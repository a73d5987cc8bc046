// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A document is a YAML file that remembers on which line everything stands.
type document struct {
	name     string
	root     *yaml.Node      // free of aliases, merges and duplicates
	value    any             // the same as JSON would have it
	lines    map[string]int  // by path
	dropped  map[string]bool // paths of what is wrong, and not to be decoded
	problems Problems
}

// readDocument gives an error only for what is no YAML at all.
func readDocument(name string, data []byte) (*document, error) {
	d := &document{name: name, lines: map[string]int{"": 1}, dropped: map[string]bool{}}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, d.syntax(err)
	default:
		switch err := loader.Load(&second); {
		case errors.Is(err, io.EOF):
		case err != nil:
			return nil, d.syntax(err)
		default:
			return nil, Problems{{File: name, Line: second.Line, Text: "a second document begins here; there must be one"}}
		}
	}
	root := &first
	if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
		root = root.Content[0]
	}
	if root.IsZero() || root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1} // says nothing
	}
	e := expander{document: d, open: map[*yaml.Node]bool{}}
	d.root = e.expand(root, "", 0)
	if e.nodes > maxNodes {
		return nil, Problems{{File: name, Line: 1, Text: "is too large once its aliases are followed"}}
	}
	d.value = d.json(d.root, "")
	return d, nil
}

// syntax reports what the YAML parser found.
func (d *document) syntax(err error) error {
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many) && len(many.Errors) > 0:
		one = many.Errors[0]
	case !errors.As(err, &one):
		return Problems{{File: d.name, Text: "is not YAML: " + err.Error()}}
	}
	return Problems{{File: d.name, Line: one.Mark.Line, Text: "is not YAML: " + one.Message}}
}

// report adds a problem, unless what it is about, or one of the other paths
// it depends on, is known to be wrong already.
func (d *document) report(path, text string, dependsOn ...string) {
	for _, p := range append(dependsOn, path) {
		if d.isDropped(p) {
			return
		}
	}
	d.problems = append(d.problems, Problem{File: d.name, Line: d.line(path), Path: path, Text: text})
}

// drop reports a problem with a value that is not to be decoded.
func (d *document) drop(path, text string) {
	d.report(path, text)
	d.dropped[path] = true
}

func (d *document) isDropped(path string) bool {
	for ; ; path = parent(path) {
		if d.dropped[path] {
			return true
		}
		if path == "" {
			return false
		}
	}
}

// line is where path stands, or what would hold it.
func (d *document) line(path string) int {
	for ; ; path = parent(path) {
		if line, ok := d.lines[path]; ok {
			return line
		}
	}
}

// prune copies n without what was dropped. A list that lacks an item goes as a
// whole, so that the others keep their places.
func (d *document) prune(n *yaml.Node, path string) *yaml.Node {
	if d.dropped[path] {
		return nil
	}
	pruned := *n
	pruned.Content = nil
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if v := d.prune(n.Content[i+1], child(path, n.Content[i].Value)); v != nil {
				pruned.Content = append(pruned.Content, n.Content[i], v)
			}
		}
	case yaml.SequenceNode:
		for i, v := range n.Content {
			v = d.prune(v, item(path, i))
			if v == nil {
				d.dropped[path] = true
				return nil
			}
			pruned.Content = append(pruned.Content, v)
		}
	}
	return &pruned
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func child(path, key string) string {
	if !plainKey.MatchString(key) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// parent is the path one step up. Of a key that is not plain it may be a
// path that nothing has, further up lies one that something has.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
