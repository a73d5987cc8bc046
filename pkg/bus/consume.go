// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/guard"
)

// In is an event as its handler sees it: with its data typed, and the call's story up to at least this event.
type In[T proto.Message] struct {
	*Event
	Data  T
	Story *Story
}

// Handler handles one kind of event.
type Handler struct {
	kind     proto.Message
	run      func(context.Context, *Event, *Story) error
	concerns func(proto.Message) bool
	done     []proto.Message
	afterEnd bool
}

// HandlerOption tells the bus when an event need not be handled.
type HandlerOption func(*Handler)

// Done names the results of handling an event. If one of them is in the story, with the event's attempt, session or
// whatever its suffix is made of, the handler does not run. An event without an attempt counts as the first.
func Done(results ...proto.Message) HandlerOption {
	return func(h *Handler) { h.done = append(h.done, results...) }
}

// AfterEnd has the handler run for calls that are over, too.
func AfterEnd(h *Handler) { h.afterEnd = true }

// If has the handler run for events that concern it alone, as they tell by themselves: the rest costs no look at the story.
func If(concerns func(proto.Message) bool) HandlerOption {
	return func(h *Handler) { h.concerns = concerns }
}

// On makes a handler of a function. The kind of event is the function's parameter.
func On[T proto.Message](handle func(context.Context, In[T]) error, opts ...HandlerOption) Handler {
	var kind T
	h := Handler{kind: kind, run: func(ctx context.Context, e *Event, s *Story) error {
		data, ok := e.Data.(T)
		if !ok {
			return Drop(fmt.Errorf("%s is no %s", e.ID(), nameOf(kind)))
		}
		return handle(ctx, In[T]{Event: e, Data: data, Story: s})
	}}
	for _, opt := range opts {
		opt(&h)
	}
	return h
}

// settled is the look: whether the event's results are there already.
func (h Handler) settled(e *Event, s *Story) bool {
	if s.Ended() && !h.afterEnd {
		return true
	}
	return slices.ContainsFunc(h.done, func(result proto.Message) bool { return s.Find(keyFrom(result, e.Data)) != nil })
}

// Consume handles the service's events until the context ends: those of the stream, and those that somebody has taken
// back out of the dead letters. It returns nil when the handlers at work have finished.
func (b *Bus) Consume(ctx context.Context, handlers ...Handler) error {
	byName := map[string]Handler{}
	for _, h := range handlers {
		byName[nameOf(h.kind)] = h
	}
	handle := func(ctx context.Context, msg jetstream.Msg) error {
		meta, err := msg.Metadata()
		if err != nil {
			return Drop(err)
		}
		subject := strings.TrimPrefix(msg.Subject(), redriveRoot+"."+b.Service+".")
		e, err := decode(subject, msg.Headers(), msg.Data(), meta.Sequence.Stream, meta.Timestamp)
		if err != nil {
			return err
		}
		h, ok := byName[e.Name]
		if !ok {
			return RetryAfter(maxBackoff, fmt.Errorf("%s has no handler for %s: a newer version's", b.Service, e.Name))
		}
		if h.concerns != nil && !h.concerns(e.Data) {
			return nil
		}
		ctx = context.WithValue(ctx, handledKey, e)
		story, err := b.Story(ctx, e.CallID)
		if err != nil {
			return err
		}
		if h.settled(e, story) && !guard.Broken(guard.Look) {
			return nil
		}
		ctx = context.WithValue(WithCause(ctx, e.ID()), beganKey, story.Began())
		return h.run(ctx, e, story)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.Work(ctx, Stream, b.Service, "events", handle) })
	group.Go(func() error { return b.Work(ctx, DeadLetters, b.Service, "redriven", handle) })
	return group.Wait()
}
