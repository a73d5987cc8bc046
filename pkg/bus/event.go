// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Event is one stored event of a call.
type Event struct {
	CallID string
	Name   string    // the message's name, such as RoomReady
	Suffix string    // what follows the name in the subject, such as 1; often empty
	Author string    // the service that published it
	Cause  string    // the id of what led to it
	Time   time.Time // by the broker's clock, of which there is one
	Seq    uint64    // its place in the stream
	Data   proto.Message

	nonce string
	trace string // its place in a trace
}

// ID names the event: the call, the name and the suffix.
func (e *Event) ID() string { return e.CallID + "." + e.Key() }

// Key names the event within its call: RoomReady.1.
func (e *Event) Key() string { return join(e.Name, e.Suffix) }

// CallID derives a call's id from what names the call outside: 26 characters, base32 of the first 128 bits of a
// SHA-256. The same parts give the same id on every machine.
func CallID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "/")))
	return idEncoding.EncodeToString(sum[:16])
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	subjectRoot = "calls"

	headerID     = "ce-id"
	headerType   = "ce-type"
	headerSource = "ce-source"
	headerTime   = "ce-time"
	headerCall   = "ce-subject"
	headerSpec   = "ce-specversion"
	headerCause  = "ce-causeid"
	headerNonce  = "Trunkline-Nonce"
	headerTrace  = "traceparent" // W3C's
)

// Subject is where an event of a call is stored.
func Subject(callID string, m proto.Message) string { return subjectRoot + "." + callID + "." + Key(m) }

// Filter is the subjects of one kind of event, over all calls.
func Filter(m proto.Message) string { return filterOf(nameOf(m), ruleOf(m)) }

func filterOf(name string, rule *callv1.Rule) string {
	filter := subjectRoot + ".*." + name
	if len(rule.GetSuffix()) > 0 {
		filter += ".>"
	}
	return filter
}

// Key names a message within its call, as [Event.Key] does: its name and its suffix.
func Key(m proto.Message) string { return keyFrom(m, m) }

// keyFrom is the key that an event of m's kind has, with the suffix taken from the fields of another message. A field
// that the other lacks counts as the first attempt.
func keyFrom(m, fields proto.Message) string {
	key := nameOf(m)
	from := fields.ProtoReflect()
	for _, name := range ruleOf(m).GetSuffix() {
		value := "1"
		if field := from.Descriptor().Fields().ByName(protoreflect.Name(name)); field != nil {
			value = from.Get(field).String()
		}
		key += "." + token(value)
	}
	return key
}

var plainToken = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// token makes any text one token of a subject. What could not stand there is replaced by a hash of it.
func token(s string) string {
	if plainToken.MatchString(s) {
		return s
	}
	return CallID(s)
}

func nameOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().Name()) }

func ruleOf(m proto.Message) *callv1.Rule {
	rule, _ := proto.GetExtension(m.ProtoReflect().Descriptor().Options(), callv1.E_Rule).(*callv1.Rule)
	return rule
}

func mayAuthor(service string, m proto.Message) error {
	rule := ruleOf(m)
	if rule == nil {
		return fmt.Errorf("%s is no event: it has no rule", nameOf(m))
	}
	if !slices.Contains(rule.GetAuthors(), service) {
		return fmt.Errorf("%s may not publish %s: its author is %s", service, nameOf(m), strings.Join(rule.GetAuthors(), ", "))
	}
	return nil
}

// decode makes an event of a stored message.
func decode(subject string, header nats.Header, data []byte, seq uint64, stored time.Time) (*Event, error) {
	parts := strings.SplitN(subject, ".", 4)
	if len(parts) < 3 || parts[0] != subjectRoot {
		return nil, fmt.Errorf("%s is not the subject of an event", subject)
	}
	e := &Event{
		CallID: parts[1], Name: parts[2],
		Author: header.Get(headerSource), Cause: header.Get(headerCause), nonce: header.Get(headerNonce), trace: headerCarrier(header).Get(headerTrace),
		Time: stored, Seq: seq,
	}
	if len(parts) == 4 {
		e.Suffix = parts[3]
	}
	full := callv1.File_trunkline_call_v1_events_proto.Package().Append(protoreflect.Name(e.Name))
	kind, err := protoregistry.GlobalTypes.FindMessageByName(full)
	if err != nil { // a newer version's: it has its place in the story, and says nothing to us
		e.Data = &emptypb.Empty{}
		return e, nil
	}
	e.Data = kind.New().Interface()
	if err := proto.Unmarshal(data, e.Data); err != nil {
		return nil, fmt.Errorf("decode %s: %w", subject, err)
	}
	return e, nil
}

// decodeRead makes an event of a message as a direct get gives it, with what was stored beside it in headers.
func decodeRead(m *nats.Msg) (*Event, error) {
	subject := m.Header.Get(jetstream.SubjectHeader)
	seq, err := sequence(m)
	if err != nil {
		return nil, err
	}
	stored, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subject, err)
	}
	return decode(subject, m.Header, m.Data, seq, stored)
}

func sequence(m *nats.Msg) (uint64, error) {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", m.Header.Get(jetstream.SubjectHeader), err)
	}
	return seq, nil
}

func join(name, suffix string) string {
	if suffix == "" {
		return name
	}
	return name + "." + suffix
}
