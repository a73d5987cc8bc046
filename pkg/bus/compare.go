// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// setting is one setting that we choose. It gives next the value that is wanted, says how that differs from the old
// one, if it does, and what harm is in the change.
type setting[C any] func(next *C, want C) (text string, harm harm)

// harm is why a change is not made unasked.
type harm string

const (
	harmless      harm = ""
	losesOld      harm = "what is stored beyond it would be thrown away"
	losesCopies   harm = "fewer copies would be kept"
	losesSubjects harm = "what is published there would not be stored any more"
	losesEvents   harm = "events that are not handled yet could be lost, so let the services that run now handle them first"
	losesMarkers  harm = "who was away would not see what was deleted meanwhile"
	losesReads    harm = "what relies on it would break"
	impossible    harm = "NATS cannot change it"
)

// What is not listed stays as NATS or an operator has set it, and so does a limit that is set only if we choose one.
var streamSettings = []setting[jetstream.StreamConfig]{
	value("description", func(c *jetstream.StreamConfig) *string { return &c.Description }, free),
	list("subjects", func(c *jetstream.StreamConfig) *[]string { return &c.Subjects }, func([]string) harm { return losesSubjects }),
	value("storage", func(c *jetstream.StreamConfig) *jetstream.StorageType { return &c.Storage }, fixed),
	value("retention", func(c *jetstream.StreamConfig) *jetstream.RetentionPolicy { return &c.Retention }, fixed),
	limit("replicas", func(c *jetstream.StreamConfig) *int { return &c.Replicas }, losesCopies),
	limit("max_age", func(c *jetstream.StreamConfig) *time.Duration { return &c.MaxAge }, losesOld),
	limit("max_msgs_per_subject", func(c *jetstream.StreamConfig) *int64 { return &c.MaxMsgsPerSubject }, losesOld),
	ifChosen("max_bytes", func(c *jetstream.StreamConfig) *int64 { return &c.MaxBytes }, losesOld),
	value("duplicate_window", func(c *jetstream.StreamConfig) *time.Duration { return &c.Duplicates }, free),
	value("allow_direct", func(c *jetstream.StreamConfig) *bool { return &c.AllowDirect }, off(losesReads)),
	value("deny_delete", func(c *jetstream.StreamConfig) *bool { return &c.DenyDelete }, off(impossible)),
	value("allow_msg_schedules", func(c *jetstream.StreamConfig) *bool { return &c.AllowMsgSchedules }, off(impossible)),
	value("allow_msg_ttl", func(c *jetstream.StreamConfig) *bool { return &c.AllowMsgTTL }, off(impossible)),
}

// A filter goes when a service no longer handles a kind of event. That loses something only if there is such an event
// that the consumer owes its service, for the old version would still have handled it: owes says whether there is.
func consumerSettings(owes func(filter string) bool) []setting[jetstream.ConsumerConfig] {
	return []setting[jetstream.ConsumerConfig]{
		list("filters", func(c *jetstream.ConsumerConfig) *[]string { return &c.FilterSubjects }, func(removed []string) harm {
			if slices.ContainsFunc(removed, owes) {
				return losesEvents
			}
			return harmless
		}),
		value("deliver_policy", func(c *jetstream.ConsumerConfig) *jetstream.DeliverPolicy { return &c.DeliverPolicy }, fixed),
		value("ack_policy", func(c *jetstream.ConsumerConfig) *jetstream.AckPolicy { return &c.AckPolicy }, fixed),
		value("ack_wait", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.AckWait }, free),
		limit("max_deliver", func(c *jetstream.ConsumerConfig) *int { return &c.MaxDeliver }, losesEvents),
		limit("max_ack_pending", func(c *jetstream.ConsumerConfig) *int { return &c.MaxAckPending }, harmless),
	}
}

var bucketSettings = []setting[jetstream.KeyValueConfig]{
	value("description", func(c *jetstream.KeyValueConfig) *string { return &c.Description }, free),
	value("storage", func(c *jetstream.KeyValueConfig) *jetstream.StorageType { return &c.Storage }, fixed),
	limit("replicas", func(c *jetstream.KeyValueConfig) *int { return &c.Replicas }, losesCopies),
	limit("history", func(c *jetstream.KeyValueConfig) *uint8 { return &c.History }, losesOld),
	limit("ttl", func(c *jetstream.KeyValueConfig) *time.Duration { return &c.TTL }, losesOld),
	ifChosen("max_bytes", func(c *jetstream.KeyValueConfig) *int64 { return &c.MaxBytes }, losesOld),
	ifChosen("max_value_size", func(c *jetstream.KeyValueConfig) *int32 { return &c.MaxValueSize }, harmless),
	value("compression", func(c *jetstream.KeyValueConfig) *bool { return &c.Compression }, free),
	value("limit_marker_ttl", func(c *jetstream.KeyValueConfig) *time.Duration { return &c.LimitMarkerTTL }, func(old, wanted time.Duration) harm {
		switch {
		case wanted == 0:
			return impossible
		case wanted < old:
			return losesMarkers
		}
		return harmless
	}),
}

func free[V any](V, V) harm { return harmless }

func fixed[V any](V, V) harm { return impossible }

func off(h harm) func(old, wanted bool) harm {
	return func(old, _ bool) harm {
		if old {
			return h
		}
		return harmless
	}
}

func value[C any, V comparable](name string, at func(*C) *V, judge func(old, wanted V) harm) setting[C] {
	return func(next *C, want C) (string, harm) {
		old, wanted := *at(next), *at(&want)
		if old == wanted {
			return "", harmless
		}
		*at(next) = wanted
		verb := "%v"
		if _, text := any(old).(string); text {
			verb = "%q"
		}
		return fmt.Sprintf(name+" "+verb+" -> "+verb, old, wanted), judge(old, wanted)
	}
}

type number interface {
	~int | ~int32 | ~int64 | ~uint8
}

// limit is a value of which 0 and less mean that there is no limit; a narrower one does harm.
func limit[C any, V number](name string, at func(*C) *V, narrower harm) setting[C] {
	return func(next *C, want C) (string, harm) {
		old, wanted := max(*at(next), 0), max(*at(&want), 0)
		if old == wanted {
			return "", harmless
		}
		*at(next) = *at(&want)
		text := fmt.Sprintf("%s %s -> %s", name, orUnlimited(old), orUnlimited(wanted))
		if wanted > 0 && (old == 0 || wanted < old) {
			return text, narrower
		}
		return text, harmless
	}
}

func ifChosen[C any, V number](name string, at func(*C) *V, narrower harm) setting[C] {
	set := limit(name, at, narrower)
	return func(next *C, want C) (string, harm) {
		if *at(&want) <= 0 {
			return "", harmless
		}
		return set(next, want)
	}
}

func orUnlimited[V number](v V) string {
	if v <= 0 {
		return "unlimited"
	}
	return fmt.Sprint(v)
}

// list is a set of subjects. To add some is harmless; what it is to remove some is for judge to say.
func list[C any](name string, at func(*C) *[]string, judge func(removed []string) harm) setting[C] {
	return func(next *C, want C) (string, harm) {
		old, wanted := *at(next), *at(&want)
		var text strings.Builder
		for _, s := range wanted {
			if !slices.Contains(old, s) {
				text.WriteString(" +" + s)
			}
		}
		var removed []string
		for _, s := range old {
			if !slices.Contains(wanted, s) {
				text.WriteString(" -" + s)
				removed = append(removed, s)
			}
		}
		if text.Len() == 0 {
			return "", harmless
		}
		*at(next) = wanted
		if removed == nil {
			return name + text.String(), harmless
		}
		return name + text.String(), judge(removed)
	}
}
