// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// While an upgrade is under way, events of the new version reach services of the old one: with fields that they do not
// know, and of kinds that they do not know. The test is the new ingress.
func TestACallGoesOnThoughItsStoryIsPartlyOfANewerVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{nodes: 1, each: 1, slots: 4, lease: lease, sim: func(*sim.Config) {}})
	phone := w.Place(sim.CallSpec{Webhook: sim.CallWebhook{Lose: true}}) // the old ingress does not hear of it
	began := w.newer(phone, "CallReceived", &callv1.CallReceived{
		CallDomain: phone.CallDomain, DailyCallId: phone.ID, From: *phone.From, To: phone.To,
		Agent: "agent", AnswerBudget: durationpb.New(time.Minute), MaxDuration: durationpb.New(time.Hour),
	})
	w.newer(phone, "CallGreeted.1", nil)

	phone = w.Connected(phone)
	w.Expect(phone, "CallConnected")
	w.newer(phone, "LegMuted.1", nil)
	w.newer(phone, "ParticipantJoined.a-newer-kind-of-guest", &callv1.ParticipantJoined{
		SessionId: "a-newer-kind-of-guest", Room: phone.Rooms[0], Attempt: 1, UserId: "guest",
	})
	w.HangUp(phone)
	w.checked([]sim.Call{phone}, func(sim.Call) bool { return false })

	if got := w.Expect(phone, "CallGreeted.1"); got.Seq < began || len(w.State(phone).Attempts) != 1 {
		t.Errorf("not in its place in the story\n%s", w.Told(phone))
	}
	w.drained()
}

// newer publishes an event as a newer version would: with a field that has no name yet, or of a kind that has none.
func (w *world) newer(phone sim.Call, key string, known proto.Message) (seq uint64) {
	w.T.Helper()
	var data []byte
	if known != nil {
		var err error
		if data, err = proto.Marshal(known); err != nil {
			w.T.Fatal(err)
		}
	}
	data = protowire.AppendTag(data, 15_000, protowire.BytesType)
	data = protowire.AppendString(data, "what nobody knew yet")
	msg := nats.NewMsg("calls." + w.ID(phone) + "." + key)
	msg.Data = data
	msg.Header.Set("ce-source", "ingress")
	msg.Header.Set("ce-id", w.ID(phone)+"."+key)
	msg.Header.Set("ce-novelty", "a header that nobody knew yet")
	ack, err := w.JS.PublishMsg(w.T.Context(), msg, jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil {
		w.T.Fatal(err)
	}
	return ack.Sequence
}

// drained waits until every service has dealt with all of its events.
func (w *world) drained() {
	w.T.Helper()
	w.Poll(time.Minute, "every event to be dealt with", func() string {
		for _, service := range []string{"room-provisioner", "bot-scheduler", "call-control", "transfer-service"} {
			consumer, err := w.JS.Consumer(w.T.Context(), bus.Stream, service)
			if err != nil {
				return err.Error()
			}
			if info := consumer.CachedInfo(); info.NumPending+uint64(info.NumAckPending) > 0 {
				return service
			}
		}
		return ""
	})
}
