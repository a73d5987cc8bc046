// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/trunkline/trunkline/pkg/config"
)

// A key is one line of the schema, in its order.
type key struct {
	path, kind, description string
	def                     *yaml.Node // nil: must be given, or holds other keys
	enum                    []string
	required, section       bool
}

// keys walks the schema. JSON is YAML, which keeps the order.
func keys(t *testing.T) []key {
	t.Helper()
	var root yaml.Node
	if err := yaml.Load(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	w := walker{defs: get(root.Content[0], "$defs")}
	w.properties(root.Content[0], "")
	return w.keys
}

type walker struct {
	defs *yaml.Node
	keys []key
}

func (w *walker) properties(schema *yaml.Node, prefix string) {
	properties := get(schema, "properties")
	if properties == nil {
		return
	}
	var required []string
	if r := get(schema, "required"); r != nil {
		_ = r.Decode(&required)
	}
	for i := 0; i < len(properties.Content); i += 2 {
		name := properties.Content[i].Value
		w.property(prefix+name, properties.Content[i+1], slices.Contains(required, name))
	}
}

func (w *walker) property(path string, p *yaml.Node, required bool) {
	target := w.follow(p)
	k := key{
		path: path, description: text(p, "description"), def: get(p, "default"), required: required,
		kind: w.kind(target), section: get(target, "properties") != nil,
	}
	if enum := get(target, "enum"); enum != nil {
		for _, v := range enum.Content {
			if v.Value != "" {
				k.enum = append(k.enum, v.Value)
			}
		}
	}
	below, prefix := target, path+"."
	if items := get(target, "items"); items != nil {
		below, prefix = w.follow(items), path+"[]."
	} else if free := get(target, "additionalProperties"); free != nil && free.Kind == yaml.MappingNode {
		below, prefix = w.follow(free), path+".<name>."
	}
	k.section = k.section || get(below, "properties") != nil
	w.keys = append(w.keys, k)
	w.properties(below, prefix)
}

func (w *walker) kind(p *yaml.Node) string {
	if title := text(p, "title"); title != "" {
		return title
	}
	switch kind := text(p, "type"); kind {
	case "string":
		return "text"
	case "integer":
		return "whole number"
	case "boolean":
		return "true or false"
	case "array":
		return "list of " + w.kind(w.follow(get(p, "items"))) + "s"
	case "object":
		return "mapping"
	default:
		return kind
	}
}

func (w *walker) follow(p *yaml.Node) *yaml.Node {
	if ref := text(p, "$ref"); ref != "" {
		return get(w.defs, strings.TrimPrefix(ref, "#/$defs/"))
	}
	return p
}

func get(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func text(n *yaml.Node, key string) string {
	if v := get(n, key); v != nil {
		return v.Value
	}
	return ""
}

// The defaults that the schema tells are those that the code has.
func TestSchemaDefaultsAreTheCodes(t *testing.T) {
	c := config.Default()
	agent, route, target := config.DefaultAgent(), config.DefaultRoute(), config.DefaultTarget()
	for _, k := range keys(t) {
		var field reflect.Value
		switch {
		case strings.HasPrefix(k.path, "agents.<name>."):
			field = fieldAt(reflect.ValueOf(agent), strings.TrimPrefix(k.path, "agents.<name>."))
		case strings.HasPrefix(k.path, "routes[]."):
			field = fieldAt(reflect.ValueOf(route), strings.TrimPrefix(k.path, "routes[]."))
		case strings.HasPrefix(k.path, "targets.<name>."):
			field = fieldAt(reflect.ValueOf(target), strings.TrimPrefix(k.path, "targets.<name>."))
		default:
			field = fieldAt(reflect.ValueOf(*c), k.path)
		}
		if !field.IsValid() {
			t.Errorf("%s: no field of Config has it", k.path)
			continue
		}
		if k.def == nil {
			continue
		}
		if got, want := show(field), defaultText(k); got != want {
			t.Errorf("%s: the code has %s, the schema %s", k.path, got, want)
		}
	}
}

// Every field is in the schema, or it could not be set.
func TestSchemaHasEveryField(t *testing.T) {
	known := map[string]bool{}
	for _, k := range keys(t) {
		known[k.path] = true
		if k.description == "" {
			t.Errorf("%s has no description", k.path)
		}
	}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, prefix string) {
		for f := range typ.Fields() {
			name := f.Tag.Get("yaml")
			switch name {
			case "-":
				continue
			case ",inline":
				walk(f.Type, prefix)
				continue
			}
			if !known[prefix+name] {
				t.Errorf("%s%s is not in the schema", prefix, name)
			}
			switch {
			case f.Type.Kind() == reflect.Struct:
				walk(f.Type, prefix+name+".")
			case f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct:
				walk(f.Type.Elem(), prefix+name+".<name>.")
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				walk(f.Type.Elem(), prefix+name+"[].")
			}
		}
	}
	walk(reflect.TypeFor[config.Config](), "")
}

func TestExampleNamesEveryKey(t *testing.T) {
	for _, k := range keys(t) {
		name := k.path[strings.LastIndexAny(k.path, ".]")+1:]
		if !strings.Contains(config.Example(), name+":") {
			t.Errorf("%s is not in the example", k.path)
		}
	}
}

func fieldAt(v reflect.Value, path string) reflect.Value {
	name, rest, more := strings.Cut(path, ".")
	name, inList := strings.CutSuffix(name, "[]")
	for f, field := range v.Fields() {
		if f.Tag.Get("yaml") == ",inline" {
			if found := fieldAt(field, path); found.IsValid() {
				return found
			}
		}
		if f.Tag.Get("yaml") != name {
			continue
		}
		if inList {
			field = reflect.Zero(field.Type().Elem())
		}
		if more {
			return fieldAt(field, rest)
		}
		return field
	}
	return reflect.Value{}
}

func show(v reflect.Value) string {
	switch v := v.Interface().(type) {
	case time.Duration:
		return v.String()
	case []string:
		return fmt.Sprint(v)
	case slog.Level:
		return strings.ToLower(v.String())
	}
	return fmt.Sprint(v.Interface())
}

func defaultText(k key) string {
	if k.kind == "duration" {
		d, _ := time.ParseDuration(k.def.Value)
		return d.String()
	}
	switch k.def.Kind {
	case yaml.MappingNode:
		return "map[]"
	case yaml.SequenceNode:
		if len(k.def.Content) > 0 && k.def.Content[0].Kind == yaml.MappingNode {
			var items []config.Retry
			_ = k.def.Decode(&items)
			return fmt.Sprint(items)
		}
		var items []string
		_ = k.def.Decode(&items)
		return fmt.Sprint(items)
	}
	return k.def.Value
}
