// SPDX-License-Identifier: Apache-2.0

package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	leases "github.com/trunkline/trunkline/services/bot-scheduler/slots"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// soon is enough for anything that nothing hinders, on a busy machine.
const soon = 30 * time.Second

// watched makes a world whose bots have names, and which leaves nothing behind.
func watched(t *testing.T, o options) *world {
	t.Helper()
	t.Cleanup(killBots)
	o.flags += named
	return newWorld(t, o)
}

// place has somebody call.
func (w *world) place(spec sim.CallSpec) sim.Call {
	w.t.Helper()
	spec.From, spec.To = "+14155550123", "+14155550100"
	phone, err := w.sim.PlaceCall(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return phone
}

func (w *world) placeMany(n int, spec sim.CallSpec) []sim.Call {
	w.t.Helper()
	phones := make([]sim.Call, n)
	for i := range phones {
		phones[i] = w.place(spec)
	}
	return phones
}

// phone waits until something is true of a caller's phone.
func (w *world) phone(phone sim.Call, patience time.Duration, what string, cond func(sim.Call) bool) sim.Call {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	now, err := w.sim.WaitForCall(ctx, phone.ID, cond)
	if err != nil {
		w.t.Fatalf("waited in vain for call %s to be %s: it is %s %s\n%s", w.id(phone), what, now.State, now.Why, w.told(phone))
	}
	return now
}

func (w *world) connected(phone sim.Call) sim.Call {
	w.t.Helper()
	return w.phone(phone, soon, "connected", func(c sim.Call) bool { return c.ConnectedAt != nil })
}

func (w *world) hungUp(phone sim.Call) sim.Call {
	w.t.Helper()
	return w.phone(phone, soon, "over", func(c sim.Call) bool { return c.State == sim.Ended })
}

// expect waits until an event of a call is on the record.
func (w *world) expect(phone sim.Call, key string) *bus.Event {
	w.t.Helper()
	var e *bus.Event
	w.poll(soon, key+" of call "+w.id(phone), func() string {
		story, err := w.bus.Story(w.t.Context(), w.id(phone))
		if err != nil {
			return err.Error()
		}
		if e = story.Find(key); e == nil {
			return "there is only\n" + w.told(phone)
		}
		return ""
	})
	return e
}

// hangUp lets callers hang up, and waits until their calls are over on the record, as calls end.
func (w *world) hangUp(phones ...sim.Call) {
	w.t.Helper()
	for _, phone := range phones {
		if err := w.sim.Hangup(phone.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, phone := range phones {
		w.expect(phone, "CallEnded")
		s := w.state(phone)
		if got := s.Ended.Data; got.GetOutcome() != callv1.Outcome_OUTCOME_COMPLETED || got.GetReason() != "caller_hung_up" {
			w.t.Errorf("call %s ended with %s\n%s", w.id(phone), got, w.told(phone))
		}
	}
}

// cleared waits until nothing is left of any call.
func (w *world) cleared() {
	w.t.Helper()
	w.poll(soon, "everything to be cleared up", func() string {
		if left := w.left(); left != "" {
			return left
		}
		if here := living(); len(here) > 0 {
			return fmt.Sprint(here)
		}
		return ""
	})
}

func (w *world) state(phone sim.Call) *call.State {
	w.t.Helper()
	story, err := w.bus.Story(w.t.Context(), w.id(phone))
	if err != nil {
		w.t.Fatal(err)
	}
	return call.Read(story)
}

// during looks again and again for as long as it says; what it sees must be well all the time.
func (w *world) during(d time.Duration, what string, wrong func() string) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if text := wrong(); text != "" {
			w.t.Fatalf("%s: %s", what, text)
		}
	}
}

// count is how many events of a kind there are, of all calls.
func (w *world) count(kind proto.Message) int {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), bus.Stream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := stream.Info(w.t.Context(), jetstream.WithSubjectFilter(bus.Filter(kind)))
	if err != nil {
		w.t.Fatal(err)
	}
	return len(info.State.Subjects)
}

// leases tells which slot is leased to which call's attempt.
func (w *world) leases() []string {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), leases.Bucket.Bucket)
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := kv.ListKeys(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var held []string
	for key := range keys.Keys() {
		e, err := kv.Get(w.t.Context(), key)
		var holder leases.Holder
		if err == nil && json.Unmarshal(e.Value(), &holder) == nil {
			held = append(held, fmt.Sprintf("%s for %s.%d", key, holder.CallID, holder.Attempt))
		}
	}
	slices.Sort(held)
	return held
}

// logged is what a part has logged so far, with what its keepers and bots have.
func (w *world) logged(part string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, part+".log"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// awaitLogged waits until a part's log has a text, and gives the rest of that line.
func (w *world) awaitLogged(part, text string) string {
	w.t.Helper()
	var rest string
	w.poll(soon, fmt.Sprintf("%q in the log of %s", text, part), func() string {
		_, after, _ := strings.Cut(w.logged(part), text)
		line, _, whole := strings.Cut(after, "\n")
		if !whole {
			return "not there"
		}
		rest = line
		return ""
	})
	return rest
}
