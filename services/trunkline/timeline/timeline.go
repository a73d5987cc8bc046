// SPDX-License-Identifier: Apache-2.0

// Package timeline shows a call's story to people.
package timeline

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// Rows gives the story as a table: event, time since the first, who, and what there is to say.
func Rows(story *controlv1.GetCallResponse, row func(cells ...any)) {
	row("EVENT", "AFTER", "WHO", "WHAT")
	for _, e := range story.GetEvents() {
		after := e.GetAt().AsTime().Sub(story.GetCall().GetReceived().AsTime())
		row(e.GetName(), fmt.Sprintf("%7.3f s", after.Round(time.Millisecond).Seconds()), e.GetAuthor(), what(e.GetData()))
	}
}

// told are the fields worth a person's attention.
var told = []string{
	"agent", "from", "to", "requestedBy", "room", "slot", "handle", "sign", "status", "cause", "outcome", "reason", "detail", "place", "gone", "userId",
}

func what(data *anypb.Any) string {
	m, err := data.UnmarshalNew()
	if err != nil {
		return ""
	}
	var parts []string
	fields := m.ProtoReflect().Descriptor().Fields()
	for _, name := range told {
		f := fields.ByJSONName(name)
		if f == nil || !m.ProtoReflect().Has(f) {
			continue
		}
		value := m.ProtoReflect().Get(f)
		if f.Enum() != nil {
			word := string(f.Enum().Values().ByNumber(value.Enum()).Name())
			parts = append(parts, strings.ToLower(word[strings.IndexByte(word, '_')+1:]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %v", name, value.Interface()))
	}
	return strings.Join(parts, ", ")
}
