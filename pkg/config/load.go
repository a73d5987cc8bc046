// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"os"

	"go.yaml.in/yaml/v4"
)

// maxSize of a file, in bytes. Beyond it somebody named the wrong file.
const maxSize = 1 << 20

// Load reads and checks the file at path. Everything wrong with what it says
// is reported as Problems.
func Load(path string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxSize {
		return nil, Problems{tooLarge(path)}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse checks data as Load does, and calls it name in what it reports.
func Parse(name string, data []byte) (*Config, error) {
	if len(data) > maxSize {
		return nil, Problems{tooLarge(name)}
	}
	d, err := readDocument(name, data)
	if err != nil {
		return nil, err
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	// What is wrong by the schema is left out here, so that the checks still
	// find everything else.
	c := Default()
	if err := d.decode(c); err != nil {
		return nil, err
	}
	check(d, c)
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	normalize(c)
	return c, nil
}

func tooLarge(name string) Problem {
	return Problem{File: name, Text: fmt.Sprintf("must be at most %d bytes", maxSize)}
}

// decode fills c from what is right by the schema.
func (d *document) decode(c *Config) error {
	root := d.prune(d.root, "")
	if root == nil {
		return nil
	}
	err := root.Decode(c)
	var loadErrs *yaml.LoadErrors
	switch {
	case err == nil:
	case errors.As(err, &loadErrs) && len(loadErrs.Errors) > 0:
		for _, e := range loadErrs.Errors {
			d.problems = append(d.problems, Problem{File: d.name, Line: e.Mark.Line, Text: e.Message})
		}
	default:
		return fmt.Errorf("read configuration: %w", err)
	}
	for name, a := range c.Agents {
		a.Name = name
		c.Agents[name] = a
	}
	for name, t := range c.Targets {
		t.Name = name
		c.Targets[name] = t
	}
	return nil
}
