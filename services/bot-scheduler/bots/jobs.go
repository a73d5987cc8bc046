// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// jobsBucket holds the tasks: each is there from the moment its RoomReady is acknowledged until its bot is known to be
// gone, so that no crash can forget it.
var jobsBucket = jetstream.KeyValueConfig{
	Bucket: "jobs", Description: "Attempts that wait for a bot or have one", History: 1, LimitMarkerTTL: markerLasts,
}

// markerLasts is how long it can be seen that a task was struck out, by processes that were away.
const markerLasts = time.Hour

// firstLease is how long a slot is taken for a bot that is about to be started. Its keeper renews it.
const firstLease = 5 * time.Second

// addJob writes a task down. One that is there already is left as it is.
func (s *Scheduler) addJob(ctx context.Context, t task) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	err = bus.Answered(ctx, func() error {
		_, err := s.jobs.Create(ctx, t.key(), data)
		return err
	})
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("write job %s down: %w", t.key(), err)
	}
	s.ledger.add(t, true)
	return nil
}

func (s *Scheduler) removeJob(ctx context.Context, key string) error {
	if err := bus.Answered(ctx, func() error { return s.jobs.Purge(ctx, key, jetstream.PurgeTTL(markerLasts)) }); err != nil {
		return fmt.Errorf("strike job %s out: %w", key, err)
	}
	s.ledger.strike(key)
	return nil
}

// reserveSlot finds a slot of the task's agent that looks free, and keeps it for this process to take; "" is none. Each
// search goes on where the last one ended: where many are held, the slots before it are among them.
func (s *Scheduler) reserveSlot(t task) string {
	if s.remotes.full.stands(t.Agent) {
		return ""
	}
	size := s.Config.Agents[t.Agent].Slots // an agent that is no longer configured has none
	for i := range size {
		if key := slots.Key(t.Agent, (s.origin+i)%size); s.ledger.reserve(key) {
			s.remotes.full.tries(t.Agent)
			s.origin += i + 1
			return key
		}
	}
	return ""
}

// takeSlot leases a reserved slot, or gives nil when another process was first.
func (s *Scheduler) takeSlot(ctx context.Context, key string, t task) (*slots.Lease, error) {
	lease, err := s.Slots.Take(ctx, key, slots.Holder{CallID: t.CallID, Attempt: t.Attempt}, firstLease)
	switch {
	case errors.Is(err, slots.ErrTaken): // the bucket will tell by whom; until then it stays reserved
		return nil, nil
	case err != nil:
		s.ledger.free(key)
		return nil, err
	}
	s.ledger.seat(key, t.key())
	return lease, nil
}

// origin is where a process begins its search for a slot, so that many do not try the same one at once.
func origin(instance string) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(instance)) // never fails
	return int(hash.Sum32() >> 1)
}

func (s *Scheduler) followJobs(ctx context.Context) error {
	f := follower{nc: s.Bus.JS.Conn(), kv: s.jobs, holds: s.ledger.taskKeys, known: s.ledger.tasksKnown, see: func(key string, value []byte) {
		var t task
		if value == nil {
			s.ledger.strike(key)
		} else if json.Unmarshal(value, &t) == nil {
			s.ledger.add(t, false)
		}
	}}
	return f.follow(ctx)
}

func (s *Scheduler) followSlots(ctx context.Context) error {
	f := follower{nc: s.Bus.JS.Conn(), kv: s.Slots.KV, holds: s.ledger.slotKeys, known: s.ledger.slotsKnown, see: func(key string, value []byte) {
		var holder slots.Holder
		if value == nil {
			s.ledger.free(key)
		} else if json.Unmarshal(value, &holder) == nil {
			s.ledger.seat(key, taskKey(holder.CallID, holder.Attempt))
			s.lookAfter(ctx, holder)
		}
	}}
	return f.follow(ctx)
}

// lookAfter sees to it that a bot without a keeper, which was there when this process began, is looked in on: should its
// timer have got lost, its slot would be held for ever.
func (s *Scheduler) lookAfter(ctx context.Context, holder slots.Holder) {
	select {
	case <-s.ledger.slotsKnown:
		return
	default:
	}
	if holder.Backend == "" {
		return
	}
	if err := s.lookIn(ctx, holder.CallID, holder.Attempt, lookEvery); err != nil {
		s.Log.Warn("look after a bot", "call_id", holder.CallID, "attempt", holder.Attempt, "err", err)
	}
}
