// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

func TestWhatIsSetIsCompared(t *testing.T) {
	n := Needs{Service: "bot-scheduler", Events: []proto.Message{&callv1.RoomReady{}}, Timers: true}
	for _, want := range streams(Settings{Replicas: 3, MaxAge: time.Hour}, []Needs{n}) {
		next := jetstream.StreamConfig{Name: want.Name}
		applied(t, want.Name, &next, want, streamSettings)
	}
	for _, want := range n.consumers() {
		next := jetstream.ConsumerConfig{Durable: want.Durable, MaxDeliver: 1}
		applied(t, want.String(), &next, want.ConsumerConfig, consumerSettings(func(string) bool { return false }))
	}
	want := jetstream.KeyValueConfig{
		Bucket: "bucket", Description: "All that a service may ask for", MaxValueSize: 1, History: 2, TTL: time.Hour, MaxBytes: 3,
		Storage: jetstream.MemoryStorage, Replicas: 3, Compression: true, LimitMarkerTTL: time.Minute,
	}
	next := jetstream.KeyValueConfig{Bucket: want.Bucket}
	applied(t, want.Bucket, &next, want, bucketSettings)
}

func applied[C any](t *testing.T, name string, next *C, want C, settings []setting[C]) {
	t.Helper()
	for _, set := range settings {
		set(next, want)
	}
	if !reflect.DeepEqual(*next, want) {
		t.Errorf("%s: a setting is not in the list:\n got %+v\nwant %+v", name, *next, want)
	}
}

func TestFewerCopiesNeedForce(t *testing.T) {
	p := &Plan{}
	have, want := jetstream.StreamConfig{Replicas: 3}, jetstream.StreamConfig{Replicas: 1}
	add(p, "stream CALLS", &have, want, streamSettings, func(context.Context, jetstream.StreamConfig) error { return nil })
	if err := p.Refused(false); err == nil || !strings.Contains(err.Error(), "stream CALLS: replicas 3 -> 1") {
		t.Errorf("without force: %v", err)
	}
	if err := p.Refused(true); err != nil {
		t.Errorf("with force: %v", err)
	}
}
