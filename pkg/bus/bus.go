// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/guard"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Stream is the name of the stream of all events.
const Stream = "CALLS"

// Bus is one service's place on the bus.
type Bus struct {
	// Service is the author of what is published and the name of the durable consumers.
	Service string
	JS      jetstream.JetStream
	Log     *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics

	reader  reader
	stories *stories
	known   *lru.Cache[string, string] // calls that have begun, and in which trace, if that is known
}

// New gives a service its place on the bus.
func New(service string, js jetstream.JetStream, log *slog.Logger, metrics *Metrics) *Bus {
	return &Bus{Service: service, JS: js, Log: log, Metrics: metrics, reader: reader{nc: js.Conn()}, stories: newStories(), known: newCache[string]()}
}

// Publish stores an event of a call, once for as long as the stream keeps it. It returns what is stored: the event, or,
// if the same cause has led to it before, the one from then. If another cause has, the error is a [TakenError].
// The cause is what the context's handler handles; see [WithCause].
func (b *Bus) Publish(ctx context.Context, callID string, m proto.Message) (*Event, error) {
	e, err := b.newEvent(ctx, callID, m)
	if err != nil {
		return nil, err
	}
	for {
		err := b.store(ctx, e, jetstream.WithExpectLastSequencePerSubject(0))
		switch {
		case err == nil:
			b.Metrics.published(e, began(ctx))
			return e, nil
		case errors.Is(err, errMoved):
			stored, err := b.Find(ctx, callID, e.Key())
			if err != nil {
				return nil, err
			}
			if stored == nil { // a replica that lags behind
				if err := pause(ctx); err != nil {
					return nil, err
				}
				continue
			}
			if stored.Cause != e.Cause {
				return stored, &TakenError{stored}
			}
			return stored, nil
		default:
			return nil, fmt.Errorf("publish %s: %w", e.ID(), err)
		}
	}
}

// Choice looks at a call's story and says which event follows from it; nil is none. It may be asked several times.
type Choice func(*Story) (proto.Message, error)

// Decide publishes what choose makes of the call's story, on condition that the story has not grown since choose saw
// it; if it has, choose is asked again. It returns the published event, or nil if choose wanted none. An error of
// choose is returned as it is.
func (b *Bus) Decide(ctx context.Context, callID string, choose Choice) (*Event, error) {
	story, err := b.Story(ctx, callID)
	if err != nil {
		return nil, err
	}
	return b.DecideOn(ctx, story, choose)
}

// DecideOn is [Bus.Decide] for a story that has just been read, as a handler's has. It is read again only if it has
// grown since.
func (b *Bus) DecideOn(ctx context.Context, story *Story, choose Choice) (*Event, error) {
	callID, nonce := story.CallID, uuid.NewString()
	for {
		for _, e := range story.Events {
			if e.nonce == nonce { // stored by a try whose answer was lost
				return e, nil
			}
		}
		m, err := choose(story)
		if err != nil || m == nil {
			return nil, err
		}
		e, err := b.newEvent(ctx, callID, m)
		if err != nil {
			return nil, err
		}
		e.nonce = nonce
		condition := jetstream.WithExpectLastSequenceForSubject(story.last(), subjectRoot+"."+callID+".>")
		if guard.Broken(guard.Decision) {
			condition = jetstream.WithExpectStream(Stream)
		}
		err = b.store(ctx, e, condition)
		if err == nil {
			b.Metrics.published(e, story.Began())
			return e, nil
		}
		var refused *jetstream.APIError
		if errors.As(err, &refused) || ctx.Err() != nil || b.JS.Conn().IsClosed() {
			return nil, fmt.Errorf("decide %s: %w", e.ID(), err)
		}
		// Moved, or no answer at all: the story tells which.
		if story, err = b.grown(ctx, story); err != nil {
			return nil, err
		}
	}
}

// grown reads a story again on which a decision was refused. One that has not grown is waited for, and read whole: a
// replica lags behind, or what is remembered has been lost.
func (b *Bus) grown(ctx context.Context, story *Story) (*Story, error) {
	now, err := b.Story(ctx, story.CallID)
	if err != nil || now.last() > story.last() {
		return now, err
	}
	b.stories.forget(story.CallID)
	if err := pause(ctx); err != nil {
		return nil, err
	}
	return b.Story(ctx, story.CallID)
}

// Story reads what has happened to a call. A call that is not known has an empty story. In a handler it holds at least
// the event that is handled. On a replicated stream later ones may be missing: what depends on their absence is for
// [Bus.Decide] and [Bus.Publish]. Stories are shared: whoever gets one must not change it or its events.
func (b *Bus) Story(ctx context.Context, callID string) (*Story, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for {
		story, err := b.read(ctx, callID)
		if err != nil {
			return nil, fmt.Errorf("read call %s: %w", callID, err)
		}
		if story.holds(handled(ctx)) {
			return story, nil
		}
		if err := pause(ctx); err != nil { // a replica that lags behind
			return nil, fmt.Errorf("read call %s: %w", callID, err)
		}
	}
}

// read adds to what is remembered of a call what has come since.
func (b *Bus) read(ctx context.Context, callID string) (*Story, error) {
	connection := b.JS.Conn().Stats().Reconnects
	known := b.stories.find(callID, connection)
	messages, err := b.reader.story(ctx, callID, known.last()+1)
	if err != nil || len(messages) == 0 {
		return known, err
	}
	events := slices.Clone(known.Events)
	for _, m := range messages {
		e, err := decodeRead(m)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	story := NewStory(callID, events)
	b.stories.keep(story, connection)
	return story, nil
}

// Known reports whether a call has begun; that it has is asked once. What is not known for certain is an error: a fact
// about a call must not be lost because a replica has not heard of the call yet.
func (b *Bus) Known(ctx context.Context, callID string) (bool, error) {
	if b.known.Contains(callID) {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	known, trace, err := b.begun(ctx, callID)
	if err != nil {
		return false, fmt.Errorf("look for call %s: %w", callID, err)
	}
	if known {
		b.known.Add(callID, trace)
	}
	return known, nil
}

// first is the first fact of a call that the service may write, or else a dial-in's.
func (b *Bus) first() proto.Message {
	if m := (&callv1.CallRequested{}); mayAuthor(b.Service, m) == nil {
		return m
	}
	return &callv1.CallReceived{}
}

// begun asks the nearest replica whether a call has come in, or was asked for, and, if that says no, the leader whether
// there is anything of the call: by a write whose condition cannot hold, for the refusal names the last sequence of the
// condition's subjects. The leader's own read could not be limited to the subjects that a service may read.
func (b *Bus) begun(ctx context.Context, callID string) (known bool, trace string, err error) {
	subject := Subject(callID, b.first())
	msg, err := b.reader.last(ctx, subject)
	if err != nil {
		return false, "", err
	}
	if msg != nil {
		return true, headerCarrier(msg.Header).Get(headerTrace), nil
	}
	err = Answered(ctx, func() error {
		_, err := b.JS.PublishMsg(ctx, &nats.Msg{Subject: subject}, jetstream.WithExpectLastSequenceForSubject(math.MaxInt64, subjectRoot+"."+callID+".>"))
		return err
	})
	var refused *jetstream.APIError
	if !errors.As(err, &refused) || refused.ErrorCode != codeWrongLast {
		return false, "", err
	}
	return refused.Description != "wrong last sequence: 0", "", nil
}

// Find reads one event of a call by its key, such as RoomReady.1; nil if it is not there. A replica may not have it yet.
func (b *Bus) Find(ctx context.Context, callID, key string) (*Event, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	msg, err := b.reader.last(ctx, subjectRoot+"."+callID+"."+key)
	if err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", callID, key, err)
	}
	if msg == nil {
		return nil, nil
	}
	return decodeRead(msg)
}

const readTimeout = 5 * time.Second

var errMoved = errors.New("the condition does not hold")

func (b *Bus) newEvent(ctx context.Context, callID string, m proto.Message) (*Event, error) {
	if err := mayAuthor(b.Service, m); err != nil {
		return nil, err
	}
	if !plainToken.MatchString(callID) {
		return nil, fmt.Errorf("publish %s: %q is not a call id", nameOf(m), callID)
	}
	e := &Event{CallID: callID, Name: nameOf(m), Author: b.Service, Cause: cause(ctx), Time: time.Now().UTC(), Data: m}
	if key := Key(m); len(key) > len(e.Name) {
		e.Suffix = key[len(e.Name)+1:]
	}
	return e, nil
}

// store writes an event once under a condition. It fills in the sequence.
func (b *Bus) store(ctx context.Context, e *Event, condition jetstream.PublishOpt) error {
	data, err := proto.Marshal(e.Data)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	msg := &nats.Msg{Subject: Subject(e.CallID, e.Data), Data: data, Header: nats.Header{
		headerSpec:   {"1.0"},
		headerID:     {e.ID()},
		headerType:   {string(e.Data.ProtoReflect().Descriptor().FullName())},
		headerSource: {e.Author},
		headerTime:   {e.Time.Format(time.RFC3339Nano)},
		headerCall:   {e.CallID},
		headerCause:  {e.Cause},
	}}
	if e.nonce != "" {
		msg.Header.Set(headerNonce, e.nonce)
	}
	injectTrace(b.inCall(ctx, e.CallID), msg.Header)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var ack *jetstream.PubAck
	err = Answered(ctx, func() (err error) {
		ack, err = b.JS.PublishMsg(ctx, msg, condition)
		return err
	})
	if apiCode(err) == codeWrongLast {
		return errMoved
	}
	if err != nil {
		return err
	}
	e.Seq = ack.Sequence
	return nil
}

// pauseFor is how long one waits for what is about to be stored, or to reach a replica.
const pauseFor = 20 * time.Millisecond

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pauseFor):
		return nil
	}
}

type contextKey int

const (
	causeKey contextKey = iota
	beganKey
	handledKey
)

// WithCause says what leads to the events published with the context. Handlers have it set already.
func WithCause(ctx context.Context, cause string) context.Context {
	return context.WithValue(ctx, causeKey, cause)
}

func cause(ctx context.Context) string {
	c, _ := ctx.Value(causeKey).(string)
	return c
}

func began(ctx context.Context) time.Time {
	t, _ := ctx.Value(beganKey).(time.Time)
	return t
}

// handled is the event that the context's handler handles, or nil.
func handled(ctx context.Context) *Event {
	e, _ := ctx.Value(handledKey).(*Event)
	return e
}
