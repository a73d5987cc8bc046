// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// Beyond these a file is a mistake or an attack: aliases of aliases grow
// without bounds.
const (
	maxNodes = 50_000
	maxDepth = 50
)

// An expander copies a YAML tree into its document: aliases followed, merges
// made, lines noted, and every key once.
type expander struct {
	*document
	nodes int
	open  map[*yaml.Node]bool // those that are being copied
}

func (e *expander) expand(n *yaml.Node, path string, depth int) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if e.nodes++; e.nodes > maxNodes {
		return null(n)
	}
	if depth > maxDepth {
		e.drop(path, "is nested too deeply")
		return null(n)
	}
	if e.open[n] {
		e.drop(path, "is an alias of what holds it")
		return null(n)
	}
	e.open[n] = true
	defer delete(e.open, n)
	expanded := *n
	expanded.Anchor, expanded.Content = "", nil
	switch tag := n.ShortTag(); {
	case n.Kind == yaml.MappingNode && tag == "!!map":
		e.mapping(&expanded, n, path, depth)
	case n.Kind == yaml.SequenceNode && tag == "!!seq":
		for i, v := range n.Content {
			p := item(path, i)
			e.lines[p] = v.Line
			expanded.Content = append(expanded.Content, e.expand(v, p, depth+1))
		}
	case n.Kind == yaml.ScalarNode && (tag == "!!timestamp" || tag == "!!merge"):
		expanded.Tag = "!!str" // no key wants one, but a text may look like one
	case n.Kind == yaml.ScalarNode && (tag == "!!str" || tag == "!!int" || tag == "!!float" || tag == "!!bool" || tag == "!!null"):
	default:
		e.drop(path, fmt.Sprintf("the tag %s is not supported", n.Tag))
		return null(n)
	}
	return &expanded
}

// mapping fills m with the entries of n; those merged in come last, and only
// where n has none of that name.
func (e *expander) mapping(m, n *yaml.Node, path string, depth int) {
	first := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			e.problems = append(e.problems, Problem{File: e.name, Line: key.Line, Path: path, Text: "a key must be a plain word"})
			continue
		}
		if key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		p := child(path, key.Value)
		if line, ok := first[key.Value]; ok {
			e.problems = append(e.problems, Problem{File: e.name, Line: key.Line, Path: p, Text: fmt.Sprintf("is given twice, first in line %d", line)})
			continue
		}
		first[key.Value] = key.Line
		e.lines[p] = key.Line
		k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key.Value, Line: key.Line, Column: key.Column}
		m.Content = append(m.Content, k, e.expand(value, p, depth+1))
	}
	for _, merge := range merges {
		e.merge(m, merge, path, depth)
	}
}

func (e *expander) merge(m, from *yaml.Node, path string, depth int) {
	line := from.Line
	for from.Kind == yaml.AliasNode && from.Alias != nil {
		from = from.Alias
	}
	sources := []*yaml.Node{from}
	if from.Kind == yaml.SequenceNode {
		sources = from.Content
	}
	for _, source := range sources {
		for source.Kind == yaml.AliasNode && source.Alias != nil {
			source = source.Alias
		}
		if e.nodes++; e.nodes > maxNodes {
			return
		}
		if source.Kind != yaml.MappingNode || e.open[source] || depth > maxDepth {
			e.problems = append(e.problems, Problem{File: e.name, Line: line, Path: path, Text: "<< must name a mapping, or a list of mappings"})
			return
		}
		e.open[source] = true
		var merged yaml.Node
		inner := expander{document: &document{name: e.name, lines: map[string]int{}, dropped: map[string]bool{}}, nodes: e.nodes, open: e.open}
		inner.mapping(&merged, source, path, depth+1)
		e.nodes = inner.nodes
		delete(e.open, source)
		e.adopt(m, &merged, inner.document, path)
	}
}

// adopt adds to m what it lacks of merged, with the lines and problems that
// are below it.
func (e *expander) adopt(m, merged *yaml.Node, from *document, path string) {
	has := map[string]bool{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		has[child(path, m.Content[i].Value)] = true
	}
	kept := func(p string) bool {
		for ; p != path && p != ""; p = parent(p) {
			if has[p] {
				return false
			}
		}
		return true
	}
	for p, line := range from.lines {
		if kept(p) {
			e.lines[p] = line
		}
	}
	for p := range from.dropped {
		if kept(p) {
			e.dropped[p] = true
		}
	}
	for _, problem := range from.problems {
		if kept(problem.Path) {
			e.problems = append(e.problems, problem)
		}
	}
	for i := 0; i+1 < len(merged.Content); i += 2 {
		if !has[child(path, merged.Content[i].Value)] {
			m.Content = append(m.Content, merged.Content[i], merged.Content[i+1])
		}
	}
}

// null stands in the place of n.
func null(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
}
