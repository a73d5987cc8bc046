// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/trunkline/trunkline/pkg/config"
)

// otherwise is the cause of a text that nobody knows.
const otherwise = "error"

// known are the texts that Daily documents, and what it says of a wrong number in other words. It gives no code for them.
var known = []config.DialError{
	{Pattern: `dial-?\s?out.* not enabled for (room|domain)`, Cause: "not_enabled"},
	{Pattern: `international dial-?\s?out.* not supported`, Cause: "international"},
	{Pattern: `invalid.{0,20}\bnumber|number.{0,20}\b(is )?(invalid|not valid)|must be in E\.?164`, Cause: "invalid_number"},
}

// Causes tells what Daily's texts mean.
type Causes []cause

type cause struct {
	pattern *regexp.Regexp
	name    string
}

// NewCauses puts the configured patterns before the built-in ones.
func NewCauses(errors []config.DialError) (Causes, error) {
	var causes Causes
	for _, e := range slices.Concat(errors, known) {
		pattern, err := e.Regexp()
		if err != nil {
			return nil, fmt.Errorf("dialout.errors: %w", err)
		}
		causes = append(causes, cause{pattern, e.Cause})
	}
	return causes, nil
}

// Cause is that of the first pattern that matches the text, else error.
func (c Causes) Cause(text string) string {
	for _, cause := range c {
		if cause.pattern.MatchString(text) {
			return cause.name
		}
	}
	return otherwise
}
