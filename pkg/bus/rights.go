// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Rights are the subjects that a service needs, for the NATS server to hold it to. deploy/nats/users.conf is made of
// them.
type Rights struct{ Publish, Subscribe []string }

// InboxPrefix is what a service's inboxes begin with. With one of its own nobody else can read what it is answered.
func InboxPrefix(service string) string { return "_INBOX_" + service }

// Rights gives what the service needs and no more, as far as NATS can tell subjects apart: a service that reads stories
// may read every event.
func (n Needs) Rights() Rights {
	const api, get = jetstream.DefaultAPIPrefix, jetstream.DefaultAPIPrefix + "DIRECT.GET."
	r := Rights{Subscribe: []string{InboxPrefix(n.Service) + ".>"}}
	allow := func(subjects ...string) { r.Publish = append(r.Publish, subjects...) }
	consume := func(stream string) {
		allow(api+"CONSUMER.INFO."+stream+"."+n.Service, api+"CONSUMER.MSG.NEXT."+stream+"."+n.Service, "$JS.ACK."+stream+"."+n.Service+".>")
	}

	for _, filter := range authored(n.Service) {
		allow(filter)
		if len(n.Events) == 0 { // who has some reads whole stories
			allow(get + Stream + "." + filter)
		}
	}
	allow(api + "STREAM.INFO." + Stream)
	if len(n.Events) > 0 {
		consume(Stream)
		consume(DeadLetters)
		allow(deadRoot+"."+n.Service+".>", get+Stream, get+Stream+"."+subjectRoot+".>")
	}
	if n.Follows {
		r.Subscribe = append(r.Subscribe, subjectRoot+".>")
	}
	if n.Timers {
		consume(TimerStream(n.Service))
		allow(TimerSet+"."+n.Service+".>", TimerCancelled+"."+n.Service, deadRoot+"."+n.Service+".>")
	}
	read := func(bucket jetstream.KeyValueConfig) (stream, keys string) {
		stream, keys = "KV_"+bucket.Bucket, "$KV."+bucket.Bucket+".>"
		allow(api+"STREAM.INFO."+stream, get+stream+"."+keys)
		return stream, keys
	}
	for _, bucket := range n.Buckets {
		stream, keys := read(bucket)
		allow(keys, api+"CONSUMER.CREATE."+stream+".*."+keys, api+"CONSUMER.DELETE."+stream+".*", "$JS.FC."+stream+".>") // to watch it
	}
	for _, bucket := range n.Reads {
		read(bucket)
	}
	allow(n.Speaks...)
	r.Subscribe = append(r.Subscribe, n.Speaks...)
	slices.Sort(r.Publish)
	r.Publish = slices.Compact(r.Publish)
	return r
}

// authored gives the filters of the events that a service may publish.
func authored(service string) (filters []string) {
	messages := callv1.File_trunkline_call_v1_events_proto.Messages()
	for i := range messages.Len() {
		rule, _ := proto.GetExtension(messages.Get(i).Options(), callv1.E_Rule).(*callv1.Rule)
		if slices.Contains(rule.GetAuthors(), service) {
			filters = append(filters, filterOf(string(messages.Get(i).Name()), rule))
		}
	}
	return filters
}
