// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"fmt"
	"slices"
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
	// Reads are buckets that the service only reads, a key at a time: it has no right to change them.
	Reads []jetstream.KeyValueConfig
	// Follows is set for a service that follows the whole stream; see [Bus.Follow].
	Follows bool
	// Speaks are subjects outside of the streams on which the service's own processes speak with one another.
	Speaks []string
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
// buckets come from, and may be run again at any time. say is told of each change before the first is made. If one of
// them could lose what is stored or promised, nothing is changed.
func Setup(ctx context.Context, js jetstream.JetStream, s Settings, say func(string), needs ...Needs) error {
	plan, err := MakePlan(ctx, js, s, needs...)
	if err != nil {
		return err
	}
	if err := plan.Refused(false); err != nil {
		return err
	}
	for _, c := range plan.Changes {
		say(c.Text)
	}
	return plan.Apply(ctx, false)
}

// The first tokens of the subjects of timers; the service's name is the second.
const (
	TimerSet       = "timer"     // timer.<service>.<timer>
	TimerFired     = "fired"     // fired.<service>.<timer>
	TimerCancelled = "cancelled" // cancelled.<service>, the last one taken back
)

// streams are those of the record, and one for each service's timers.
func streams(s Settings, needs []Needs) []jetstream.StreamConfig {
	configs := []jetstream.StreamConfig{{
		Name: Stream, Description: "Every event of every call", Subjects: []string{subjectRoot + ".>"},
		Duplicates: 2 * time.Minute, AllowDirect: true, DenyDelete: true,
	}, {
		Name: DeadLetters, Description: "What could not be handled", Subjects: []string{deadRoot + ".>", redriveRoot + ".>"},
		Duplicates: 2 * time.Minute, AllowDirect: true,
	}}
	for _, n := range needs {
		if n.Timers {
			configs = append(configs, jetstream.StreamConfig{
				Name: TimerStream(n.Service), Description: "Timers of " + n.Service, Subjects: []string{TimerSet + "." + n.Service + ".>", TimerFired + "." + n.Service + ".>", TimerCancelled + "." + n.Service},
				AllowMsgSchedules: true, AllowMsgTTL: true, MaxMsgsPerSubject: 1, Duplicates: 2 * time.Minute, AllowDirect: true,
			})
		}
	}
	for i := range configs {
		c := &configs[i]
		c.Storage, c.Retention = jetstream.FileStorage, jetstream.LimitsPolicy
		c.Replicas, c.MaxAge = max(s.Replicas, 1), s.MaxAge
	}
	return configs
}

// consumer is a service's durable consumer of a stream.
type consumer struct {
	stream string
	jetstream.ConsumerConfig
}

func (c consumer) String() string { return "consumer " + c.Durable + " of " + c.stream }

func (n Needs) consumers() (all []consumer) {
	consume := func(stream string, filters ...string) {
		all = append(all, consumer{stream, jetstream.ConsumerConfig{
			Durable: n.Service, FilterSubjects: filters, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: AckWait, MaxDeliver: -1, MaxAckPending: 10_000,
		}})
	}
	if len(n.Events) > 0 {
		filters := make([]string, len(n.Events))
		for i, e := range n.Events {
			filters[i] = Filter(e)
		}
		consume(Stream, filters...)
		consume(DeadLetters, redriveRoot+"."+n.Service+".>")
	}
	if n.Timers {
		consume(TimerStream(n.Service), TimerFired+"."+n.Service+".>")
	}
	return all
}

// filtersOf gives a consumer's filters in one of the three ways in which NATS keeps them.
func filtersOf(c jetstream.ConsumerConfig) []string {
	switch {
	case c.FilterSubject != "":
		return []string{c.FilterSubject}
	case len(c.FilterSubjects) == 0:
		return []string{">"}
	}
	return c.FilterSubjects
}

// buckets are those of all services. One that several of them use is the same for all.
func buckets(s Settings, needs []Needs) (configs []jetstream.KeyValueConfig) {
	for _, n := range needs {
		for _, c := range slices.Concat(n.Buckets, n.Reads) {
			if !slices.ContainsFunc(configs, func(other jetstream.KeyValueConfig) bool { return other.Bucket == c.Bucket }) {
				c.Replicas, c.History = max(s.Replicas, 1), max(c.History, 1)
				configs = append(configs, c)
			}
		}
	}
	return configs
}

// Check reports the first thing that a service needs and that is not there: a stream, a consumer, a filter of a
// consumer, as after an upgrade without a setup, or a bucket. It only asks for what a service has the right to ask for.
func Check(ctx context.Context, js jetstream.JetStream, n Needs) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if len(n.Events) == 0 {
		if _, err := js.Stream(ctx, Stream); err != nil {
			return fmt.Errorf("stream %s: %w", Stream, err)
		}
	}
	for _, want := range n.consumers() {
		cons, err := js.Consumer(ctx, want.stream, want.Durable)
		if err != nil {
			return fmt.Errorf("%s: %w", want, err)
		}
		have := filtersOf(cons.CachedInfo().Config)
		for _, filter := range want.FilterSubjects {
			if !slices.Contains(have, filter) {
				return fmt.Errorf("%s lacks the filter %s", want, filter)
			}
		}
	}
	for _, bucket := range slices.Concat(n.Buckets, n.Reads) {
		if _, err := js.KeyValue(ctx, bucket.Bucket); err != nil {
			return fmt.Errorf("bucket %s: %w", bucket.Bucket, err)
		}
	}
	return nil
}
