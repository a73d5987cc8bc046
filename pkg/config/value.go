// SPDX-License-Identifier: Apache-2.0

package config

import (
	"math"

	"go.yaml.in/yaml/v4"
)

// json is the value of an expanded node as a JSON document would have it.
func (d *document) json(n *yaml.Node, path string) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = d.json(n.Content[i+1], child(path, n.Content[i].Value))
		}
		return m
	case yaml.SequenceNode:
		s := make([]any, len(n.Content))
		for i, v := range n.Content {
			s[i] = d.json(v, item(path, i))
		}
		return s
	}
	switch n.ShortTag() {
	case "!!str":
		return n.Value
	case "!!null":
		return nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		d.drop(path, "does not fit its tag "+n.ShortTag())
		return nil
	}
	switch v := v.(type) {
	case bool, int, int64, uint64:
		return v
	case float64:
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v
		}
	}
	d.drop(path, "is not a number that can be used")
	return nil
}
