// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
)

// Needs is what a service needs the bus to have.
type Needs struct {
	Service string
	// Events are the kinds of event that the service consumes.
	Events []proto.Message
	// Timers gives the service durable timers of its own.
	Timers bool
	// Buckets are key-value buckets that the service uses.
	Buckets []jetstream.KeyValueConfig
}

// Settings are what an installation chooses about its streams.
type Settings struct {
	Replicas int
	// MaxAge is how long a call is kept. It must be longer than any call takes.
	MaxAge time.Duration
}

// TimerStream is the name of the stream of a service's timers.
func TimerStream(service string) string { return "TIMERS_" + service }

// Setup creates what the services need, or brings it up to date. It is the one place where streams, consumers and
// buckets come from, and may be run again at any time. say is told of each change.
func Setup(ctx context.Context, js jetstream.JetStream, s Settings, say func(string), needs ...Needs) error {
	streams := []jetstream.StreamConfig{{
		Name: Stream, Description: "Every event of every call", Subjects: []string{subjectRoot + ".>"},
		Duplicates: 2 * time.Minute, AllowDirect: true, DenyDelete: true,
	}, {
		Name: DeadLetters, Description: "What could not be handled", Subjects: []string{deadRoot + ".>", redriveRoot + ".>"},
		Duplicates: 2 * time.Minute, AllowDirect: true,
	}}
	for _, n := range needs {
		if n.Timers {
			streams = append(streams, jetstream.StreamConfig{
				Name: TimerStream(n.Service), Description: "Timers of " + n.Service, Subjects: []string{TimerSet + "." + n.Service + ".>", TimerFired + "." + n.Service + ".>", TimerCancelled + "." + n.Service},
				AllowMsgSchedules: true, AllowMsgTTL: true, MaxMsgsPerSubject: 1, Duplicates: 2 * time.Minute, AllowDirect: true,
			})
		}
	}
	for _, config := range streams {
		config.Storage, config.Retention = jetstream.FileStorage, jetstream.LimitsPolicy
		config.Replicas, config.MaxAge = max(s.Replicas, 1), s.MaxAge
		if err := setupStream(ctx, js, config, say); err != nil {
			return err
		}
	}
	for _, n := range needs {
		if err := setupService(ctx, js, s, say, n); err != nil {
			return err
		}
	}
	return nil
}

// The first tokens of the subjects of timers; the service's name is the second.
const (
	TimerSet       = "timer"     // timer.<service>.<timer>
	TimerFired     = "fired"     // fired.<service>.<timer>
	TimerCancelled = "cancelled" // cancelled.<service>, the last one taken back
)

func setupStream(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig, say func(string)) error {
	_, err := js.Stream(ctx, config.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		say("create stream " + config.Name)
		_, err = js.CreateStream(ctx, config)
	case err == nil:
		_, err = js.UpdateStream(ctx, config)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", config.Name, err)
	}
	return nil
}

func setupService(ctx context.Context, js jetstream.JetStream, s Settings, say func(string), n Needs) error {
	consumers := map[string]string{} // stream to filters
	if len(n.Events) > 0 {
		filters := make([]string, len(n.Events))
		for i, e := range n.Events {
			filters[i] = Filter(e)
		}
		consumers[Stream] = strings.Join(filters, " ")
		consumers[DeadLetters] = redriveRoot + "." + n.Service + ".>"
	}
	if n.Timers {
		consumers[TimerStream(n.Service)] = TimerFired + "." + n.Service + ".>"
	}
	for stream, filters := range consumers {
		config := jetstream.ConsumerConfig{
			Durable: n.Service, FilterSubjects: strings.Fields(filters), AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: AckWait, MaxDeliver: -1, MaxAckPending: 10_000,
		}
		_, err := js.Consumer(ctx, stream, n.Service)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			say("create consumer " + n.Service + " of " + stream)
		}
		if _, err := js.CreateOrUpdateConsumer(ctx, stream, config); err != nil {
			return fmt.Errorf("consumer %s of %s: %w", n.Service, stream, err)
		}
	}
	for _, bucket := range n.Buckets {
		bucket.Replicas = max(s.Replicas, 1)
		_, err := js.KeyValue(ctx, bucket.Bucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			say("create bucket " + bucket.Bucket)
		}
		if _, err := js.CreateOrUpdateKeyValue(ctx, bucket); err != nil {
			return fmt.Errorf("bucket %s: %w", bucket.Bucket, err)
		}
	}
	return nil
}

// Check reports the first thing that a service needs and that is not there.
func Check(ctx context.Context, js jetstream.JetStream, n Needs) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	streams := []string{Stream}
	if len(n.Events) > 0 {
		streams = append(streams, DeadLetters)
	}
	if n.Timers {
		streams = append(streams, TimerStream(n.Service))
	}
	for _, stream := range streams {
		if stream == Stream && len(n.Events) == 0 {
			if _, err := js.Stream(ctx, stream); err != nil {
				return fmt.Errorf("stream %s: %w", stream, err)
			}
			continue
		}
		if _, err := js.Consumer(ctx, stream, n.Service); err != nil {
			return fmt.Errorf("consumer %s of %s: %w", n.Service, stream, err)
		}
	}
	for _, bucket := range n.Buckets {
		if _, err := js.KeyValue(ctx, bucket.Bucket); err != nil {
			return fmt.Errorf("bucket %s: %w", bucket.Bucket, err)
		}
	}
	return nil
}
