// SPDX-License-Identifier: Apache-2.0

// Package slots keeps the cap on bots: each agent has as many slots as bots may run, and a bot runs only while its slot
// is leased to it. A slot is a key with a time to live, changed by compare-and-set. The lease is the fence: whoever
// cannot renew it must have stopped its bot before it runs out.
package slots

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
)

// Bucket is the key-value bucket of the slots.
var Bucket = jetstream.KeyValueConfig{
	Bucket: "slots", Description: "Leases of the slots for bots", History: 1, LimitMarkerTTL: time.Minute,
}

// ErrLost is returned when a lease is no longer held as it was: it has run out, or somebody has changed it.
var ErrLost = errors.New("the lease is lost")

// ErrTaken is returned for a slot that is leased already.
var ErrTaken = errors.New("the slot is taken")

// Holder is what a slot is leased for.
type Holder struct {
	CallID  string `json:"call_id"`
	Attempt uint32 `json:"attempt"`
	// Backend is set where nobody renews the lease: the slot is held until the bot is proved to be gone.
	Backend string `json:"backend,omitempty"`
	// Stop, once set, tells the keeper to stop the bot. It goes on renewing the lease until the bot is gone.
	Stop *Stop `json:"stop,omitempty"`
}

// Same reports whether the slot is held for the same attempt.
func (h Holder) Same(other Holder) bool {
	return h.CallID == other.CallID && h.Attempt == other.Attempt
}

// Stop says how a bot is stopped.
type Stop struct {
	Reason string        `json:"reason"`
	Linger time.Duration `json:"linger"` // how long it may go on by itself, in nanoseconds
}

// Lease is a slot held for a time.
type Lease struct {
	Key      string        `json:"key"`
	Revision uint64        `json:"revision"`
	TTL      time.Duration `json:"ttl"` // of the next renewal, whole seconds; 0: until it is given back
	Holder   Holder        `json:"holder"`
}

// Slots is a process's access to the slots.
type Slots struct {
	JS jetstream.JetStream
	KV jetstream.KeyValue
}

// Open opens the bucket.
func Open(ctx context.Context, js jetstream.JetStream) (*Slots, error) {
	kv, err := js.KeyValue(ctx, Bucket.Bucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket.Bucket, err)
	}
	return &Slots{js, kv}, nil
}

// Key names slot i of an agent.
func Key(agent string, i int) string { return fmt.Sprintf("%s.%d", agent, i) }

// Agent is whose slot a key is.
func Agent(key string) string { return key[:max(strings.LastIndexByte(key, '.'), 0)] }

// Number is which of its agent's slots a key is, from 0.
func Number(key string) int {
	n, _ := strconv.Atoi(key[strings.LastIndexByte(key, '.')+1:]) // it is ours
	return n
}

// Take leases a slot for the time given. Whoever renews it decides for how long from then on.
func (s *Slots) Take(ctx context.Context, key string, holder Holder, first time.Duration) (*Lease, error) {
	data, err := json.Marshal(holder)
	if err != nil {
		return nil, err
	}
	var revision uint64
	err = bus.Answered(ctx, func() (err error) {
		revision, err = s.KV.Create(ctx, key, data, jetstream.KeyTTL(first))
		return err
	})
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil, ErrTaken
	}
	if err != nil {
		return nil, fmt.Errorf("take slot %s: %w", key, err)
	}
	return &Lease{Key: key, Revision: revision, TTL: first, Holder: holder}, nil
}

// Renew holds the lease for another TTL, or is ErrLost. It writes what Holder says now.
func (s *Slots) Renew(ctx context.Context, l *Lease) error {
	data, err := json.Marshal(l.Holder)
	if err != nil {
		return err
	}
	// kv.Update would drop the time to live.
	subject := "$KV." + Bucket.Bucket + "." + l.Key
	options := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(l.Revision)}
	if l.TTL > 0 {
		options = append(options, jetstream.WithMsgTTL(l.TTL))
	}
	var ack *jetstream.PubAck
	err = bus.Answered(ctx, func() (err error) {
		ack, err = s.JS.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, options...)
		return err
	})
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return ErrLost
	}
	if err != nil {
		return fmt.Errorf("renew slot %s: %w", l.Key, err)
	}
	l.Revision = ack.Sequence
	return nil
}

// Release gives the slot back. A lease that is lost has nothing to give back.
func (s *Slots) Release(ctx context.Context, l *Lease) error {
	err := bus.Answered(ctx, func() error { return s.KV.Delete(ctx, l.Key, jetstream.LastRevision(l.Revision)) })
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return ErrLost
	}
	if err != nil {
		return fmt.Errorf("release slot %s: %w", l.Key, err)
	}
	return nil
}

// Free gives back a slot that is held without a keeper, by whoever has the proof that its bot is gone. One that is not
// seen to be the holder's is left alone, and not found.
func (s *Slots) Free(ctx context.Context, key string, holder Holder) (found bool, err error) {
	for {
		l, err := s.Look(ctx, key)
		if err != nil || l == nil || !l.Holder.Same(holder) {
			return false, err
		}
		if err := s.Release(ctx, l); !errors.Is(err, ErrLost) {
			return true, err
		}
	}
}

// Look gives the lease on a slot as it is now, or nil.
func (s *Slots) Look(ctx context.Context, key string) (*Lease, error) {
	e, err := s.KV.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at slot %s: %w", key, err)
	}
	l := &Lease{Key: key, Revision: e.Revision()}
	if err := json.Unmarshal(e.Value(), &l.Holder); err != nil {
		return nil, fmt.Errorf("slot %s: %w", key, err)
	}
	return l, nil
}

// Revoke tells whoever keeps the bot of a call's attempt to stop it. It reaches the keeper at once, or, should the
// message get lost, with the next renewal. A slot that is not held by the attempt, as far as is seen, is left alone, and
// not found.
func (s *Slots) Revoke(ctx context.Context, key, callID string, attempt uint32, ttl time.Duration, stop Stop) (found bool, err error) {
	for {
		l, err := s.Look(ctx, key)
		if err != nil {
			return false, err
		}
		if l == nil || !l.Holder.Same(Holder{CallID: callID, Attempt: attempt}) {
			return false, nil
		}
		if l.Holder.Stop == nil || stop.Linger < l.Holder.Stop.Linger {
			l.Holder.Stop, l.TTL = &stop, ttl
			if err := s.Renew(ctx, l); errors.Is(err, ErrLost) {
				continue // renewed in between
			} else if err != nil {
				return true, err
			}
		}
		if err := s.JS.Conn().Publish(StopSubject(callID, attempt), nil); err != nil {
			return true, fmt.Errorf("tell the keeper of %s: %w", key, err)
		}
		return true, nil
	}
}

// StopSubjects is where keepers are told to look at their leases.
const StopSubjects = "keeper.*.*"

// StopSubject is where a keeper is told to look at its lease.
func StopSubject(callID string, attempt uint32) string {
	return fmt.Sprintf("keeper.%s.%d", callID, attempt)
}
