// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/timer"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
)

// asking is one request that Daily got.
type asking struct{ path, body string }

// driver is transfer-service on a real bus, with a Daily that answers as a test wants.
type driver struct {
	*Transfers
	t *testing.T

	mu      sync.Mutex
	asked   []asking
	status  map[string]int // by the end of the path; 0 is 200
	present []daily.Participant
	policy  *controlv1.AdmitLegResponse
}

func (d *driver) AdmitLeg(context.Context, *controlv1.AdmitLegRequest) (*controlv1.AdmitLegResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.policy, nil
}

func (d *driver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, 4096)
	n, _ := r.Body.Read(body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, asking{r.URL.Path, string(body[:n])})
	for end, status := range d.status {
		if strings.HasSuffix(r.URL.Path, end) && status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "sessionId": "operator", "data": d.present, "total_count": len(d.present)})
}

// answers has Daily answer requests whose path ends so with a status.
func (d *driver) answers(end string, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status[end] = status
}

// forgets leaves out what Daily has got so far.
func (d *driver) forgets() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = nil
}

// gets waits until Daily has got a request.
func (d *driver) gets(what, end, part string) {
	d.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		d.mu.Lock()
		asked := slices.Clone(d.asked)
		d.mu.Unlock()
		if slices.ContainsFunc(asked, func(a asking) bool { return strings.HasSuffix(a.path, end) && strings.Contains(a.body, part) }) {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("Daily was to get %s, and got %v", what, asked)
		}
	}
}

// drive runs transfer-service for a call that has a story.
func drive(t *testing.T, story ...proto.Message) *driver {
	t.Helper()
	d := parked(t, story...)
	d.run()
	return d
}

// parked is transfer-service before it runs.
func parked(t *testing.T, story ...proto.Message) *driver {
	t.Helper()
	js := bustest.Start(t).Setup(Service.Needs)
	log := slog.New(slog.DiscardHandler)
	d := &driver{t: t, status: map[string]int{}, policy: &controlv1.AdmitLegResponse{Decision: controlv1.Decision_DECISION_ALLOW}}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	client := &daily.Client{BaseURL: server.URL, APIKey: "of-nobody", Retry: daily.Retry{Within: -1}}
	own := bus.New(name, js, log, nil)
	cfg := config.Default()
	targets, err := NewTargets(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.Transfers = &Transfers{
		Bus: own, Timers: timer.Timers{Bus: own}, Now: time.Now, Log: log, Rules: rules, Config: cfg, Targets: targets,
		Daily: client, Dialler: client, Policy: d,
	}
	for _, at := range talking() {
		d.publish(at.event)
	}
	d.publish(story...)
	return d
}

func (d *driver) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- d.Bus.Consume(ctx, d.Handlers()...) }()
	go func() { done <- d.Timers.Run(ctx, map[string]timer.Handler{stepTimer: d.Timer}) }()
	d.t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) { // it was stopped before it had begun
				d.t.Error(err)
			}
		}
	})
}

// publish stores events of the call, whoever else their author is.
func (d *driver) publish(events ...proto.Message) {
	d.t.Helper()
	for _, m := range events {
		author := name
		switch m.(type) {
		case *callv1.CallReceived, *callv1.LegConnected, *callv1.ParticipantJoined:
			author = "ingress"
		case *callv1.BotStarting, *callv1.BotReady, *callv1.BotFailed, *callv1.CallForwarded:
			author = "bot-scheduler"
		case *callv1.AttemptRequested:
			author = "call-control"
		case *callv1.RoomReady:
			author = "room-provisioner"
		}
		if _, err := bus.New(author, d.Bus.JS, d.Log, nil).Publish(d.t.Context(), id, m); err != nil {
			d.t.Fatal(err)
		}
	}
}

// ringingWarmly is a warm transfer whose first number rings.
func ringingWarmly(numbers ...*callv1.TransferNumber) []proto.Message {
	return []proto.Message{
		wants(config.ModeWarm, numbers...), &callv1.TransferAnnounced{N: 1}, &callv1.TransferHeld{N: 1, SessionId: "caller"}, &callv1.TransferStarting{N: 1, K: 1, Room: "room"},
		&callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"},
	}
}

// ringingColdly is a cold transfer whose first number rings.
func ringingColdly(numbers ...*callv1.TransferNumber) []proto.Message {
	return []proto.Message{
		wants(config.ModeCold, numbers...), &callv1.TransferAnnounced{N: 1}, &callv1.TransferStarting{N: 1, K: 1, Room: "room"},
		&callv1.TransferStarted{N: 1, K: 1, SessionId: "operator"},
	}
}

const hearsAll = `"canReceive":{"base":true`

// That somebody cannot be hung up on must not keep the caller from hearing.
func TestACallerIsOffHoldThoughDailyDoesNotHangUp(t *testing.T) {
	d := drive(t, ringingWarmly(number("+14155550181", 1))...)
	d.answers("/dialOut/stop", http.StatusInternalServerError)
	d.publish(&callv1.TransferCancelled{N: 1, Reason: TakenBack})
	d.gets("the word to hang up", "/dialOut/stop", "operator")
	d.gets("that the caller hears everybody", "/update-permissions", hearsAll)
	d.answers("/dialOut/stop", 0)
}

// Who has rung for long enough rings still, as long as Daily has not hung up: the next number waits.
func TestTheNextNumberIsCalledWhenDailyHasHungUpOnTheFirst(t *testing.T) {
	first := number("+14155550181", 1)
	first.RingTimeout = durationpb.New(100 * time.Millisecond)
	d := parked(t, ringingColdly(first, number("+14155550182", 2))...)
	d.answers("/dialOut/stop", http.StatusInternalServerError)
	d.run()
	d.gets("the word to hang up", "/dialOut/stop", "operator")
	d.forgets()
	d.gets("it again", "/dialOut/stop", "operator")
	story, err := d.Bus.Story(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if story.Find("TransferMissed.1.1") != nil {
		t.Error("a number that rings still was missed")
	}
	d.answers("/dialOut/stop", 0)
	bustest.Expect(t, d.Bus, id, "TransferMissed.1.1")
}

// A bot that was on its way when the caller was handed over speaks to nobody.
func TestABotThatComesLateIsSilenced(t *testing.T) {
	story := append(ringingWarmly(number("+14155550181", 1)), &callv1.LegConnected{SessionId: "operator", Room: "room", Dialled: true},
		&callv1.TransferAnswered{N: 1, K: 1, SessionId: "operator"}, &callv1.BotFailed{Attempt: 1}, &callv1.AttemptRequested{Attempt: 2, Place: callv1.Place_PLACE_SAME_ROOM},
		&callv1.BotStarting{Attempt: 2}, &callv1.TransferCompleted{N: 1, K: 1})
	joined := &callv1.ParticipantJoined{SessionId: "late-bot", Room: "room", Attempt: 1, UserId: call.BotID(id, 2)}
	for phrase, after := range map[string][]proto.Message{
		"it has joined, and is ready":          {joined, &callv1.BotReady{Attempt: 2}},
		"it has claimed, and joins":            {&callv1.BotReady{Attempt: 2}, joined},
		"that it has joined is seen, not told": {&callv1.BotReady{Attempt: 2}},
	} {
		t.Run(phrase, func(t *testing.T) {
			d := drive(t, story...)
			d.gets("that the caller hears everybody", "/update-permissions", hearsAll)
			if !slices.Contains(after, proto.Message(joined)) {
				d.mu.Lock()
				d.present = []daily.Participant{{Room: "room", ID: "late-bot", UserID: call.BotID(id, 2)}}
				d.mu.Unlock()
			}
			d.publish(after...)
			d.gets("that the bot is silent", "/update-permissions", `"late-bot":{"canSend":false`)
		})
	}
}

// A number that may be called tomorrow is not waited for.
func TestANumberThatMayBeCalledLaterThanAnybodyWaitsIsMissed(t *testing.T) {
	d := drive(t)
	d.policy = &controlv1.AdmitLegResponse{Decision: controlv1.Decision_DECISION_WAIT, Rule: "hours", Until: timestamppb.New(time.Now().Add(time.Hour))}
	d.publish(wants(config.ModeCold, number("+14155550181", 1)))
	if m := bustest.Expect(t, d.Bus, id, "TransferMissed.1.1").Data.(*callv1.TransferMissed); m.GetCause() != NotAllowed {
		t.Error(m)
	}
}

// A wait that is over at once is a look at how things stand.
func TestAWaitOfNoTime(t *testing.T) {
	d := drive(t, wants(config.ModeCold, number("+14155550181", 1)))
	r := &rpc{Transfers: d.Transfers, life: t.Context()}
	for _, wait := range []time.Duration{0, time.Nanosecond} {
		res, err := r.GetTransfer(t.Context(), &transferv1.GetTransferRequest{Call: id, Wait: durationpb.New(wait)})
		if err != nil || res.GetTransfer().GetN() != 1 {
			t.Errorf("after %s: %v, %v", wait, res, err)
		}
	}
}

// A transfer does not wait for ever for a hold that Daily does not bring about.
func TestAWarmTransferWithoutAHoldFails(t *testing.T) {
	d := parked(t, wants(config.ModeWarm, number("+14155550181", 1)))
	d.answers("/update-permissions", http.StatusInternalServerError)
	d.Rules.LostAfter = 500 * time.Millisecond
	d.run()
	d.gets("the word to hold", "/update-permissions", "caller")
	if m := bustest.Expect(t, d.Bus, id, "TransferFailed.1").Data.(*callv1.TransferFailed); m.GetReason() != NoHold {
		t.Error(m)
	}
	d.answers("/update-permissions", 0)
	d.gets("that the caller hears everybody", "/update-permissions", hearsAll)
}
