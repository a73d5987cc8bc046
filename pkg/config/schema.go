// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed schema.json
var schemaJSON []byte

// Schema is the JSON Schema (draft 2020-12) of trunkline.yaml, for editors.
func Schema() []byte { return slices.Clone(schemaJSON) }

// schema is the embedded schema, compiled and as it is written.
var schema = sync.OnceValues(func() (*jsonschema.Schema, map[string]any) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		panic("config: schema.json: " + err.Error())
	}
	source := doc.(map[string]any)
	id := source["$id"].(string)
	compiler := jsonschema.NewCompiler()
	compiler.RegisterFormat(&jsonschema.Format{Name: "go-duration", Validate: isDuration})
	compiler.AssertFormat()
	if err := compiler.AddResource(id, doc); err != nil {
		panic("config: schema.json: " + err.Error())
	}
	return compiler.MustCompile(id), source
})

// isDuration finds what is too long for a duration, which no pattern does.
func isDuration(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	_, err := time.ParseDuration(s)
	return err
}

// validate reports what is wrong by the schema. An error means that nothing
// further can be checked.
func (d *document) validate() error {
	compiled, source := schema()
	d.checkNames(source, "", d.value)
	err := compiled.Validate(d.value)
	var invalid *jsonschema.ValidationError
	switch {
	case errors.As(err, &invalid):
		d.explain(invalid)
	case err != nil:
		return fmt.Errorf("check configuration: %w", err)
	}
	if d.dropped[""] {
		return d.problems.sorted()
	}
	return nil
}

// explain reports e, or its causes if it has some.
func (d *document) explain(e *jsonschema.ValidationError) {
	path := d.path(e.InstanceLocation)
	at := schemaAt(e.SchemaURL)
	hint, _ := at["patternErrorMessage"].(string)
	switch k := e.ErrorKind.(type) {
	case *kind.PropertyNames: // told by checkNames; its location is not to be relied on
	case *kind.AdditionalProperties:
		known, _ := at["properties"].(map[string]any)
		for _, key := range k.Properties {
			d.drop(child(path, key), "is not a known key"+didYouMean(key, maps.Keys(known)))
		}
	case *kind.Required:
		for _, key := range k.Missing {
			d.drop(child(path, key), "is missing")
		}
	case *kind.UniqueItems:
		d.drop(item(path, k.Duplicates[1]), fmt.Sprintf("is the same as [%d]", k.Duplicates[0]))
	case *kind.Type:
		if hint == "" || k.Got == "null" {
			hint = typeText(k)
		}
		d.drop(path, hint)
	case *kind.Pattern, *kind.Format:
		d.drop(path, hint)
	case *kind.Schema, *kind.Group, *kind.Reference:
		for _, cause := range e.Causes {
			d.explain(cause)
		}
	default:
		d.drop(path, limitText(e.ErrorKind))
	}
}

// checkNames reports the keys, wherever they are free, that are no names. What
// such a key names may be right all the same.
func (d *document) checkNames(at map[string]any, path string, value any) {
	if ref, ok := at["$ref"].(string); ok {
		at = schemaAt(ref)
	}
	entries, _ := value.(map[string]any)
	known, _ := at["properties"].(map[string]any)
	free, _ := at["additionalProperties"].(map[string]any)
	names, _ := at["propertyNames"].(map[string]any)
	for key, v := range entries {
		p := child(path, key)
		if names != nil && !regexp.MustCompile(names["pattern"].(string)).MatchString(key) {
			d.report(p, names["patternErrorMessage"].(string))
		}
		if below, ok := known[key].(map[string]any); ok {
			d.checkNames(below, p, v)
		} else if free != nil {
			d.checkNames(free, p, v)
		}
	}
}

// path of a JSON location in the document.
func (d *document) path(location []string) string {
	path, value := "", d.value
	for _, step := range location {
		switch v := value.(type) {
		case []any:
			i, _ := strconv.Atoi(step)
			path, value = item(path, i), v[i]
		case map[string]any:
			path, value = child(path, step), v[step]
		}
	}
	return path
}

// schemaAt is the part of the schema that a URL with a fragment names.
func schemaAt(url string) map[string]any {
	_, source := schema()
	_, fragment, _ := strings.Cut(url, "#")
	var at any = source
	for step := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if m, ok := at.(map[string]any); ok && step != "" {
			at = m[step]
		}
	}
	m, _ := at.(map[string]any)
	return m
}
