// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Plan is what a setup would change. Nothing is changed before [Plan.Apply].
type Plan struct {
	Changes []Change
	steps   []func(context.Context) error
}

// Change is something that is created, or a setting that gets another value.
type Change struct {
	Text string `json:"change"`         // create stream CALLS, or stream CALLS: max_age 24h0m0s -> 168h0m0s
	Harm harm   `json:"harm,omitempty"` // why it is not made unasked
}

// MakePlan compares what the services need with what is there.
func MakePlan(ctx context.Context, js jetstream.JetStream, s Settings, needs ...Needs) (*Plan, error) {
	p := &Plan{}
	for _, want := range streams(s, needs) {
		if err := p.stream(ctx, js, want); err != nil {
			return nil, fmt.Errorf("stream %s: %w", want.Name, err)
		}
	}
	for _, n := range needs {
		for _, want := range n.consumers() {
			if err := p.consumer(ctx, js, want); err != nil {
				return nil, fmt.Errorf("%s: %w", want, err)
			}
		}
	}
	for _, want := range buckets(s, needs) {
		if err := p.bucket(ctx, js, want); err != nil {
			return nil, fmt.Errorf("bucket %s: %w", want.Bucket, err)
		}
	}
	return p, nil
}

// Refused is an error that names every change that must not be made and says what to do about it; nil if there is none.
// Force lets through what loses something, and not what NATS is unable to do.
func (p *Plan) Refused(force bool) error {
	var refused []string
	var lossy, hopeless bool
	for _, c := range p.Changes {
		if c.Harm == harmless || force && c.Harm != impossible {
			continue
		}
		refused = append(refused, "  "+c.Text+": "+string(c.Harm))
		hopeless = hopeless || c.Harm == impossible
		lossy = lossy || c.Harm != impossible
	}
	if refused == nil {
		return nil
	}
	if lossy {
		refused = append(refused, "go back to the old value, or give up what it keeps with `trunkline setup --force`")
	}
	if hopeless {
		refused = append(refused, "what NATS cannot change has to be deleted, with all that it holds, before `trunkline setup` makes it anew")
	}
	return errors.New("refused, and nothing has been changed:\n" + strings.Join(refused, "\n"))
}

// Apply makes the changes, all of them or, if one is refused, none.
func (p *Plan) Apply(ctx context.Context, force bool) error {
	if err := p.Refused(force); err != nil {
		return err
	}
	for _, step := range p.steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) stream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	var have *jetstream.StreamConfig
	stream, err := js.Stream(ctx, want.Name)
	switch {
	case err == nil:
		have = &stream.CachedInfo().Config
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	add(p, "stream "+want.Name, have, want, streamSettings, func(ctx context.Context, c jetstream.StreamConfig) error {
		_, err := js.CreateOrUpdateStream(ctx, c)
		return err
	})
	return nil
}

func (p *Plan) consumer(ctx context.Context, js jetstream.JetStream, want consumer) error {
	var have *jetstream.ConsumerConfig
	var floor uint64
	cons, err := js.Consumer(ctx, want.stream, want.Durable)
	switch {
	case err == nil:
		info := cons.CachedInfo()
		have, floor = &info.Config, info.AckFloor.Stream
		have.FilterSubjects, have.FilterSubject = filtersOf(info.Config), ""
	case !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	// An event that the consumer has not yet been done with, or may not have been: what it has acknowledged out of order
	// counts as well.
	owes := func(filter string) bool {
		stream, err := js.Stream(ctx, want.stream)
		if err == nil {
			_, err = stream.GetMsg(ctx, floor+1, jetstream.WithGetMsgSubject(filter))
		}
		return !errors.Is(err, jetstream.ErrMsgNotFound)
	}
	add(p, want.String(), have, want.ConsumerConfig, consumerSettings(owes), func(ctx context.Context, c jetstream.ConsumerConfig) error {
		_, err := js.CreateOrUpdateConsumer(ctx, want.stream, c)
		return err
	})
	return nil
}

func (p *Plan) bucket(ctx context.Context, js jetstream.JetStream, want jetstream.KeyValueConfig) error {
	var have *jetstream.KeyValueConfig
	bucket, err := js.KeyValue(ctx, want.Bucket)
	switch {
	case err == nil:
		status, err := bucket.Status(ctx)
		if err != nil {
			return err
		}
		config := status.Config()
		have = &config
	case !errors.Is(err, jetstream.ErrBucketNotFound):
		return err
	}
	add(p, "bucket "+want.Bucket, have, want, bucketSettings, func(ctx context.Context, c jetstream.KeyValueConfig) error {
		_, err := js.CreateOrUpdateKeyValue(ctx, c)
		return err
	})
	return nil
}

// add plans one thing. Of what exists only the settings that we choose are changed; the rest stays as NATS or an
// operator has set it.
func add[C any](p *Plan, name string, have *C, want C, settings []setting[C], put func(context.Context, C) error) {
	next, before := want, len(p.Changes)
	if have == nil {
		p.Changes = append(p.Changes, Change{Text: "create " + name})
	} else {
		next = *have
		for _, set := range settings {
			if text, harm := set(&next, want); text != "" {
				p.Changes = append(p.Changes, Change{name + ": " + text, harm})
			}
		}
	}
	if len(p.Changes) > before {
		p.steps = append(p.steps, func(ctx context.Context) error {
			if err := put(ctx, next); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
}
