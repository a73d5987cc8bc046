// SPDX-License-Identifier: Apache-2.0

// Package doctable keeps the tables of events in the documentation the same as the contract. Its test fails when they
// differ, and brings them up to date when run with -update.
package doctable

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Event is what the tables say about an event.
type Event struct {
	Name     string
	Suffix   []string // names of fields
	Authors  []string
	Kind     string
	Sentence string
	Fields   []string
}

// Subject is the event's name with its suffix, as it follows the call's id.
func (e Event) Subject() string {
	subject := e.Name
	for _, field := range e.Suffix {
		subject += ".<" + field + ">"
	}
	return subject
}

// Events gives the events in the order of events.proto, whose text has the comments.
func Events(source string) ([]Event, error) {
	sentences := sentences(source)
	var events []Event
	messages := callv1.File_trunkline_call_v1_events_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		rule, _ := proto.GetExtension(m.Options(), callv1.E_Rule).(*callv1.Rule)
		if rule == nil {
			continue // part of an event
		}
		name := string(m.Name())
		if sentences[name] == "" {
			return nil, fmt.Errorf("events.proto: %s has no comment that begins with its name and a colon", name)
		}
		e := Event{
			Name: name, Suffix: rule.GetSuffix(), Authors: rule.GetAuthors(), Sentence: sentences[name],
			Kind: strings.ToLower(strings.TrimPrefix(rule.GetKind().String(), "KIND_")),
		}
		for j := range m.Fields().Len() {
			e.Fields = append(e.Fields, field(m.Fields().Get(j)))
		}
		events = append(events, e)
	}
	return events, nil
}

func field(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return string(f.Name()) + "{}"
	case f.IsList():
		return string(f.Name()) + "[]"
	}
	return string(f.Name())
}

// sentences gives the first sentence of each message's leading comment, without the name that it begins with.
func sentences(source string) map[string]string {
	found := map[string]string{}
	var comment []string
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "//"); ok {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		if declared, ok := strings.CutPrefix(line, "message "); ok {
			name, _, _ := strings.Cut(declared, " ")
			if text, ok := strings.CutPrefix(strings.Join(comment, " "), name+": "); ok {
				first, _, more := strings.Cut(text, ". ")
				if more {
					first += "."
				}
				found[name] = strings.ToUpper(first[:1]) + first[1:]
			}
		}
		comment = nil
	}
	return found
}

// Compact is the table for the README.
func Compact(events []Event) string {
	var b strings.Builder
	b.WriteString("| Event | Author | Kind | What it says |\n|---|---|---|---|\n")
	for _, e := range events {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Subject(), strings.Join(e.Authors, ", "), e.Kind, e.Sentence)
	}
	return b.String()
}

// Full is the table for docs/events.md, by author.
func Full(events []Event) string {
	var b strings.Builder
	for _, author := range authors(events) {
		fmt.Fprintf(&b, "### %s\n\n| Event | Kind | What it says | Fields |\n|---|---|---|---|\n", author)
		for _, e := range events {
			if strings.Join(e.Authors, ", ") == author {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Subject(), e.Kind, e.Sentence, quoted(e.Fields))
			}
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func authors(events []Event) []string {
	var all []string
	seen := map[string]bool{}
	for _, e := range events {
		if author := strings.Join(e.Authors, ", "); !seen[author] {
			seen[author] = true
			all = append(all, author)
		}
	}
	return all
}

func quoted(fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	return "`" + strings.Join(fields, "`, `") + "`"
}

// The lines between which a table stands.
const (
	begin = "<!-- events:begin -->\n"
	end   = "<!-- events:end -->"
)

// Insert puts a table into a document, in the place of the one that is there.
func Insert(document, table string) (string, error) {
	before, rest, ok := strings.Cut(document, begin)
	if !ok {
		return "", fmt.Errorf("there is no line %q", strings.TrimSpace(begin))
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("there is no line %q after it", end)
	}
	return before + begin + "\n" + table + "\n" + end + after, nil
}
