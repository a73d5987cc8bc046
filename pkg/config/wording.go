// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// typeText says what a value should have been.
func typeText(k *kind.Type) string {
	if k.Got == "null" {
		return "has no value: give it one, or leave the key out"
	}
	if len(k.Want) > 1 {
		return "must be a single value"
	}
	switch k.Want[0] {
	case "string":
		if k.Got == "number" || k.Got == "boolean" {
			return "must be a text: put it in quotes"
		}
		return "must be a text"
	case "integer":
		return "must be a whole number"
	case "boolean":
		return "must be true or false"
	case "array":
		return "must be a list"
	case "object":
		return "must be a mapping of keys to values"
	}
	return "must be a " + k.Want[0]
}

// limitText says which limit a value is beyond.
func limitText(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Enum:
		return "must be " + oneOf(k.Want)
	case *kind.Minimum:
		return fmt.Sprintf("must be at least %s", k.Want.RatString())
	case *kind.Maximum:
		return fmt.Sprintf("must be at most %s", k.Want.RatString())
	case *kind.MaxLength:
		return fmt.Sprintf("must be at most %d characters long", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.MinLength, *kind.MinItems, *kind.MinProperties:
		return "must not be empty"
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}

func oneOf(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
		if v == "" {
			words[i] = `""`
		}
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// didYouMean names the one of known that key was probably meant to be.
func didYouMean(key string, known iter.Seq[string]) string {
	limit := max(1, min(len(key)/3, 3))
	best, least := "", math.MaxInt
	for k := range known {
		d := editDistance(fold(key), fold(k))
		if d > limit {
			continue
		}
		// Of two as close, the one whose capitals fit, then the first.
		if d = d*256 + editDistance(short(key), short(k)); d < least || d == least && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// fold makes maxDuration and max-duration equal to max_duration.
func fold(key string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(short(key)))
}

// short spares editDistance, which is quadratic: no key is as long.
func short(key string) string { return key[:min(len(key), 64)] }

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
