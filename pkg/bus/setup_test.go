// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

var aDay = bus.Settings{Replicas: 1, MaxAge: 24 * time.Hour}

// scheduler needs one of everything.
var scheduler = bus.Needs{
	Service: "bot-scheduler", Events: []proto.Message{&callv1.CallEnded{}}, Timers: true,
	Buckets: []jetstream.KeyValueConfig{{Bucket: "slots", LimitMarkerTTL: time.Minute}},
}

// upgraded is what a newer version of it needs: one kind of event more.
func upgraded() bus.Needs {
	n := scheduler
	n.Events = append(slices.Clone(n.Events), &callv1.RoomReady{})
	return n
}

func withBucket(c jetstream.KeyValueConfig) bus.Needs {
	n := upgraded()
	n.Buckets = []jetstream.KeyValueConfig{c}
	return n
}

// setup runs a setup and gives what it said.
func setup(t *testing.T, js jetstream.JetStream, s bus.Settings, needs ...bus.Needs) ([]string, error) {
	t.Helper()
	var said []string
	err := bus.Setup(t.Context(), js, s, func(what string) { said = append(said, what) }, needs...)
	return said, err
}

func mustSetup(t *testing.T, js jetstream.JetStream, s bus.Settings, needs ...bus.Needs) []string {
	t.Helper()
	said, err := setup(t, js, s, needs...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func force(t *testing.T, js jetstream.JetStream, s bus.Settings, needs ...bus.Needs) error {
	t.Helper()
	plan, err := bus.MakePlan(t.Context(), js, s, needs...)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Apply(t.Context(), true)
}

// configured gives the settings of everything that is there.
func configured(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	var all []string
	note := func(config any) {
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	infos := js.ListStreams(t.Context())
	for info := range infos.Info() {
		note(info.Config)
		stream, err := js.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		consumers := stream.ListConsumers(t.Context())
		for info := range consumers.Info() {
			note(info.Config)
		}
		if err := consumers.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := infos.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func configOf(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config
}

// edit changes a stream as an operator would.
func edit(t *testing.T, js jetstream.JetStream, stream string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	c := configOf(t, js, stream)
	change(&c)
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestSetupCreatesAndThenHasNothingToDo(t *testing.T) {
	js := bustest.Start(t).Connect()
	needs := []bus.Needs{scheduler, {Service: "room-provisioner", Buckets: scheduler.Buckets}}
	want := []string{
		"create stream CALLS", "create stream CALLS_DLQ", "create stream TIMERS_bot-scheduler",
		"create consumer bot-scheduler of CALLS", "create consumer bot-scheduler of CALLS_DLQ", "create consumer bot-scheduler of TIMERS_bot-scheduler",
		"create bucket slots",
	}
	if said := mustSetup(t, js, aDay, needs...); !slices.Equal(said, want) {
		t.Errorf("the first run says %q, want %q", said, want)
	}
	before := configured(t, js)
	if said := mustSetup(t, js, aDay, needs...); len(said) > 0 {
		t.Errorf("the second run says %q", said)
	}
	if after := configured(t, js); after != before {
		t.Errorf("the second run has changed\n%s\ninto\n%s", before, after)
	}
	if err := bus.Check(t.Context(), js, scheduler); err != nil {
		t.Error(err)
	}
}

func TestSetupTellsEveryChangeBeforeItMakesTheFirst(t *testing.T) {
	js := bustest.Start(t).Connect()
	mustSetup(t, js, aDay, scheduler)
	if _, err := js.UpdateConsumer(t.Context(), bus.Stream, jetstream.ConsumerConfig{
		Durable: scheduler.Service, FilterSubject: bus.Filter(&callv1.CallEnded{}), AckWait: time.Minute, MaxDeliver: 5, MaxAckPending: 10_000,
	}); err != nil {
		t.Fatal(err)
	}
	before := configured(t, js)
	var said []string
	say := func(what string) {
		said = append(said, what)
		if configured(t, js) != before {
			t.Errorf("something had been changed when it said %q", what)
		}
	}
	next := withBucket(jetstream.KeyValueConfig{Bucket: "slots", Description: "Leases", History: 3, LimitMarkerTTL: time.Hour})
	if err := bus.Setup(t.Context(), js, bus.Settings{MaxAge: 168 * time.Hour}, say, next); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"stream CALLS: max_age 24h0m0s -> 168h0m0s", "stream CALLS_DLQ: max_age 24h0m0s -> 168h0m0s", "stream TIMERS_bot-scheduler: max_age 24h0m0s -> 168h0m0s",
		"consumer bot-scheduler of CALLS: filters +calls.*.RoomReady.>", "consumer bot-scheduler of CALLS: ack_wait 1m0s -> 3s", "consumer bot-scheduler of CALLS: max_deliver 5 -> unlimited",
		`bucket slots: description "" -> "Leases"`, "bucket slots: history 1 -> 3", "bucket slots: limit_marker_ttl 1m0s -> 1h0m0s",
	}
	if !slices.Equal(said, want) {
		t.Errorf("it says\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if said := mustSetup(t, js, bus.Settings{MaxAge: 168 * time.Hour}, next); len(said) > 0 {
		t.Errorf("the second run says %q", said)
	}
}

func TestSetupLeavesAloneWhatIsNotItsOwn(t *testing.T) {
	js := bustest.Start(t).Connect()
	mustSetup(t, js, aDay, scheduler)
	for _, stream := range []string{bus.Stream, "KV_slots"} {
		edit(t, js, stream, func(c *jetstream.StreamConfig) {
			c.MaxBytes = 1 << 30
			c.Metadata = map[string]string{"owner": "ops"}
		})
	}
	if said := mustSetup(t, js, aDay, scheduler); len(said) > 0 {
		t.Errorf("it says %q", said)
	}
	n := scheduler
	n.Buckets = []jetstream.KeyValueConfig{{Bucket: "slots", History: 2, LimitMarkerTTL: time.Minute}}
	mustSetup(t, js, bus.Settings{MaxAge: 48 * time.Hour}, n)
	for _, stream := range []string{bus.Stream, "KV_slots"} {
		if c := configOf(t, js, stream); c.MaxBytes != 1<<30 || c.Metadata["owner"] != "ops" {
			t.Errorf("%s has max_bytes %d and metadata %v after another setting was changed", stream, c.MaxBytes, c.Metadata)
		}
	}
}

func TestSetupRefusesWhatLosesSomethingAndThenChangesNothing(t *testing.T) {
	create := func(c jetstream.StreamConfig) func(*testing.T, jetstream.JetStream) {
		return func(t *testing.T, js jetstream.JetStream) {
			if _, err := js.CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	createBucket := func(c jetstream.KeyValueConfig) func(*testing.T, jetstream.JetStream) {
		return func(t *testing.T, js jetstream.JetStream) {
			if _, err := js.CreateKeyValue(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		first    func(*testing.T, jetstream.JetStream) // before the setup of the old version
		then     func(*testing.T, jetstream.JetStream) // after it
		settings bus.Settings
		needs    bus.Needs
		refused  string
		forced   bool // whether force can do it
	}{
		"a shorter max_age": {
			settings: bus.Settings{MaxAge: time.Hour}, refused: "stream CALLS: max_age 24h0m0s -> 1h0m0s", forced: true,
		},
		"a subject less": {
			then: func(t *testing.T, js jetstream.JetStream) {
				edit(t, js, bus.Stream, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "people.>") })
			},
			refused: "stream CALLS: subjects -people.>", forced: true,
		},
		"fewer messages of a subject": {
			then: func(t *testing.T, js jetstream.JetStream) {
				edit(t, js, "TIMERS_bot-scheduler", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = -1 })
			},
			refused: "stream TIMERS_bot-scheduler: max_msgs_per_subject unlimited -> 1", forced: true,
		},
		"times to live, no longer allowed": {
			then: func(t *testing.T, js jetstream.JetStream) {
				edit(t, js, bus.DeadLetters, func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true })
			},
			refused: "stream CALLS_DLQ: allow_msg_ttl true -> false",
		},
		"another storage": {
			first:   create(jetstream.StreamConfig{Name: bus.Stream, Subjects: []string{"calls.>"}, Storage: jetstream.MemoryStorage}),
			refused: "stream CALLS: storage Memory -> File",
		},
		"another retention": {
			first:   create(jetstream.StreamConfig{Name: bus.Stream, Subjects: []string{"calls.>"}, Retention: jetstream.InterestPolicy}),
			refused: "stream CALLS: retention Interest -> Limits",
		},
		"a bucket's smaller history": {
			first:   createBucket(jetstream.KeyValueConfig{Bucket: "slots", History: 5}),
			refused: "bucket slots: history 5 -> 1", forced: true,
		},
		"a bucket's smaller size": {
			needs:   withBucket(jetstream.KeyValueConfig{Bucket: "slots", MaxBytes: 1 << 20, LimitMarkerTTL: time.Minute}),
			refused: "bucket slots: max_bytes unlimited -> 1048576", forced: true,
		},
		"a bucket's shorter time to live": {
			needs:   withBucket(jetstream.KeyValueConfig{Bucket: "slots", TTL: time.Hour, LimitMarkerTTL: time.Minute}),
			refused: "bucket slots: ttl unlimited -> 1h0m0s", forced: true,
		},
		"a bucket's other storage": {
			needs:   withBucket(jetstream.KeyValueConfig{Bucket: "slots", Storage: jetstream.MemoryStorage, LimitMarkerTTL: time.Minute}),
			refused: "bucket slots: storage File -> Memory",
		},
		"a bucket's markers": {
			needs:   withBucket(jetstream.KeyValueConfig{Bucket: "slots"}),
			refused: "bucket slots: limit_marker_ttl 1m0s -> 0s",
		},
		"a consumer of another kind": {
			then: func(t *testing.T, js jetstream.JetStream) {
				if err := js.DeleteConsumer(t.Context(), bus.Stream, scheduler.Service); err != nil {
					t.Fatal(err)
				}
				if _, err := js.CreateConsumer(t.Context(), bus.Stream, jetstream.ConsumerConfig{
					Durable: scheduler.Service, FilterSubject: bus.Filter(&callv1.CallEnded{}), AckPolicy: jetstream.AckAllPolicy,
				}); err != nil {
					t.Fatal(err)
				}
			},
			refused: "consumer bot-scheduler of CALLS: ack_policy AckAll -> AckExplicit",
		},
	} {
		t.Run(name, func(t *testing.T) {
			js := bustest.Start(t).Connect()
			old, next := scheduler, upgraded()
			if c.needs.Service != "" {
				next = c.needs
			}
			if c.first != nil {
				c.first(t, js)
			}
			_, _ = setup(t, js, aDay, old) // refused, where something was there first
			if c.then != nil {
				c.then(t, js)
			}
			settings := aDay
			if c.settings.MaxAge > 0 {
				settings = c.settings
			}
			before := configured(t, js)
			said, err := setup(t, js, settings, next)
			if err == nil || !strings.Contains(err.Error(), "\n  "+c.refused+": ") {
				t.Errorf("%v, want %q", err, c.refused)
			}
			if after := configured(t, js); after != before || len(said) > 0 {
				t.Errorf("it says %q, and has changed\n%s\ninto\n%s", said, before, after)
			}
			err = force(t, js, settings, next)
			switch {
			case c.forced && err != nil:
				t.Errorf("with force: %v", err)
			case c.forced:
				if said := mustSetup(t, js, settings, next); len(said) > 0 {
					t.Errorf("after force it says %q", said)
				}
			case err == nil || !strings.Contains(err.Error(), "\n  "+c.refused+": NATS cannot"):
				t.Errorf("with force: %v, want %q", err, c.refused)
			case configured(t, js) != before:
				t.Errorf("force was refused and has changed\n%s\ninto\n%s", before, configured(t, js))
			}
		})
	}
}

func TestAFilterStaysWhileAnEventOfItsKindIsNotHandled(t *testing.T) {
	w := newWorld(t) // room-provisioner's consumer has the filters of CallReceived, AttemptRequested and CallEnded
	fewer := provisioner
	fewer.Events = []proto.Message{&callv1.AttemptRequested{}, &callv1.CallEnded{}}
	settings := bus.Settings{MaxAge: time.Hour}
	publish(t, w.ingress, "call", &callv1.CallReceived{})
	const removed = "consumer room-provisioner of CALLS: filters -calls.*.CallReceived"
	if _, err := setup(t, w.rooms.JS, settings, fewer); err == nil || !strings.Contains(err.Error(), removed) {
		t.Errorf("before the event is handled: %v, want %q", err, removed)
	}
	cons, err := w.rooms.JS.Consumer(t.Context(), bus.Stream, provisioner.Service)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := cons.Next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := setup(t, w.rooms.JS, settings, fewer); err == nil || !strings.Contains(err.Error(), removed) {
		t.Errorf("while the event is handled: %v, want %q", err, removed)
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := mustSetup(t, w.rooms.JS, settings, fewer); !slices.Equal(said, []string{removed}) {
		t.Errorf("after the event is handled it says %q, want %q", said, removed)
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	js := bustest.Start(t).Connect()
	missing := func(n bus.Needs, want string) {
		t.Helper()
		if err := bus.Check(t.Context(), js, n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	missing(bus.Needs{Service: "ingress"}, "stream CALLS")
	missing(scheduler, "consumer bot-scheduler of CALLS")
	mustSetup(t, js, aDay, scheduler)
	missing(upgraded(), "consumer bot-scheduler of CALLS lacks the filter calls.*.RoomReady.>")
	missing(withBucket(jetstream.KeyValueConfig{Bucket: "jobs"}), "consumer bot-scheduler of CALLS lacks the filter calls.*.RoomReady.>")
	mustSetup(t, js, aDay, upgraded())
	missing(withBucket(jetstream.KeyValueConfig{Bucket: "jobs"}), "bucket jobs")
	for name, n := range map[string]bus.Needs{"the new version": upgraded(), "the old version": scheduler} {
		if err := bus.Check(t.Context(), js, n); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
