// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
)

// contextsBucket holds, by call, what its bot has last told of the conversation, for the bot that has to take its place.
// It is what people have said: it is not on the record, nobody logs it, and the end of the call deletes it.
var contextsBucket = jetstream.KeyValueConfig{
	Bucket: "contexts", Description: "Conversations of calls in progress, for bots that take over", History: 1,
	// Of what a crash has kept from being deleted.
	TTL: forgotten, LimitMarkerTTL: markerLasts,
}

// toldContext is a context, and when in its call it was told.
type toldContext struct {
	Attempt uint32          `json:"attempt"`
	Seq     uint64          `json:"seq"`
	Data    json.RawMessage `json:"data"`
}

// before reports whether another was told later. A bot that does not count has its last word.
func (t toldContext) before(other toldContext) bool {
	if t.Attempt != other.Attempt {
		return t.Attempt < other.Attempt
	}
	return t.Seq != 0 && t.Seq < other.Seq
}

// keepContext keeps what a bot tells of the conversation.
func (s *Scheduler) keepContext(ctx context.Context, who speaker, event botEvent) error {
	if !bytes.HasPrefix(bytes.TrimSpace(event.Data), []byte("{")) {
		return refusal{http.StatusBadRequest, "invalid-request-error", "data: a context is a JSON object"}
	}
	mine := toldContext{who.attempt, event.Seq, event.Data}
	data, err := json.Marshal(mine)
	if err != nil {
		return err
	}
	for again := true; again; {
		if again, err = s.putContext(ctx, who.callID, mine, data); err != nil {
			return fmt.Errorf("keep a context: %w", err)
		}
	}
	// It may have ended meanwhile, and what was to be deleted may have been before this.
	story, err := s.Bus.Story(ctx, who.callID)
	if err != nil {
		return err
	}
	if call.Read(story).Ended != nil {
		return errors.Join(errEnded, s.dropContext(ctx, who.callID))
	}
	return nil
}

// putContext writes a context unless a later one is there. Somebody else's writing meanwhile is a reason to look again.
func (s *Scheduler) putContext(ctx context.Context, callID string, mine toldContext, data []byte) (again bool, err error) {
	entry, err := s.contexts.Get(ctx, callID)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		_, err = s.contexts.Create(ctx, callID, data)
	case err == nil:
		var there toldContext
		if json.Unmarshal(entry.Value(), &there) == nil && mine.before(there) {
			return false, nil
		}
		_, err = s.contexts.Update(ctx, callID, data, entry.Revision())
	}
	var refused *jetstream.APIError
	if errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(20 * time.Millisecond): // a replica may lag behind
			return true, nil
		}
	}
	return false, err
}

// lastContext is what the call's bots have last told, or nothing.
func (s *Scheduler) lastContext(ctx context.Context, callID string) (json.RawMessage, error) {
	entry, err := s.contexts.Get(ctx, callID)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for a context: %w", err)
	}
	var last toldContext
	if err := json.Unmarshal(entry.Value(), &last); err != nil {
		return nil, errors.New("a context is damaged") // whose words an error could hold
	}
	return last.Data, nil
}

func (s *Scheduler) dropContext(ctx context.Context, callID string) error {
	_, err := s.contexts.Get(ctx, callID)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err == nil {
		err = bus.Answered(ctx, func() error { return s.contexts.Purge(ctx, callID, jetstream.PurgeTTL(markerLasts)) })
	}
	if err != nil {
		return fmt.Errorf("delete a context: %w", err)
	}
	return nil
}
