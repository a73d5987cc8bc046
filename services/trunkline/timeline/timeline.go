// SPDX-License-Identifier: Apache-2.0

// Package timeline shows a call's story to people.
package timeline

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// Rows gives the story as a table: event, time since the first, who, and what there is to say.
func Rows(story *controlv1.GetCallResponse, row func(cells ...any)) {
	row("EVENT", "AFTER", "WHO", "WHAT")
	people := people{}
	for _, e := range story.GetEvents() {
		after := e.GetAt().AsTime().Sub(story.GetCall().GetReceived().AsTime())
		m, err := e.GetData().UnmarshalNew()
		text := ""
		if err == nil {
			text = strings.Join(append(people.who(m), what(m)...), ", ")
		}
		row(e.GetName(), fmt.Sprintf("%7.3f s", after.Round(time.Millisecond).Seconds()), e.GetAuthor(), text)
	}
}

// told are the fields worth a person's attention. Of those that are true or false, it is that they are true.
var told = []string{
	"agent", "from", "to", "target", "mode", "overflow", "requestedBy", "room", "slot", "handle", "sign", "status", "cause", "outcome",
	"reason", "detail", "place", "gone", "declined", "late", "moved", "told", "ends", "botLeaves", "userId",
}

// flags are how fields that are true are told, where their names are not clear to everybody.
var flags = map[protoreflect.Name]string{
	"moved": "the caller has left the room", "ends": "else the call ends", "bot_leaves": "the bot leaves",
}

func what(m proto.Message) []string {
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
		if f.Kind() == protoreflect.BoolKind {
			parts = append(parts, cmp.Or(flags[f.Name()], name))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %v", name, value.Interface()))
	}
	return parts
}

// people are the numbers of each transfer of a call, as they were asked for.
type people map[uint32][]*callv1.TransferNumber

// who tells of an event of a transfer whom it is about: events name them by their place among those that may be tried.
func (p people) who(m proto.Message) []string {
	if asked, ok := m.(*callv1.TransferRequested); ok {
		p[asked.GetN()] = asked.GetNumbers()
		var all []string
		for _, one := range asked.GetNumbers() {
			all = append(all, one.GetTo())
		}
		if len(all) == 0 {
			return nil
		}
		return []string{"to " + strings.Join(all, " ")}
	}
	one, ok := m.(interface {
		GetN() uint32
		GetK() uint32
	})
	if !ok || one.GetK() < 1 || int(one.GetK()) > len(p[one.GetN()]) {
		return nil
	}
	return []string{"to " + p[one.GetN()][one.GetK()-1].GetTo()}
}
