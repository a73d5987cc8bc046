// SPDX-License-Identifier: Apache-2.0

package simbot_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
	"github.com/trunkline/trunkline/services/daily-sim/simbot"
)

const callID = "abcdefghijklmnopqrstuvwxyz"

// people is a transfer-service that goes from state to state as the test says, and notes what it is asked.
type people struct {
	transferv1connect.UnimplementedTransferServiceHandler
	url string

	mu      sync.Mutex
	now     *transferv1.Transfer
	changed chan struct{}
	asked   []string
	first   *transferv1.RequestTransferRequest
	refuse  int // so many requests
	breaks  int // so many streams, after a word
}

func startPeople(t *testing.T) *people {
	p := &people{changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle(transferv1connect.NewTransferServiceHandler(p))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-of-the-call" || !strings.Contains(r.Header.Get("Content-Type"), "json") {
			t.Errorf("%s: headers %v", r.URL, r.Header)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// goOn changes the transfer.
func (p *people) goOn(change func(*transferv1.Transfer)) *transferv1.Transfer {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &transferv1.Transfer{Call: callID, N: 1}
	if p.now != nil {
		next = proto.CloneOf(p.now)
	}
	change(next)
	next.Revision++
	p.now = next
	close(p.changed)
	p.changed = make(chan struct{})
	return next
}

func (p *people) goTo(state transferv1.State) {
	p.goOn(func(t *transferv1.Transfer) { t.State = state })
}

func (p *people) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, what)
}

func (p *people) wasAsked(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, one := range p.asked {
		if one == what {
			n++
		}
	}
	return n
}

func (p *people) RequestTransfer(_ context.Context, req *transferv1.RequestTransferRequest) (*transferv1.RequestTransferResponse, error) {
	p.note("request")
	p.mu.Lock()
	p.first = req
	p.refuse--
	refused := p.refuse >= 0
	p.mu.Unlock()
	if refused {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("call: is not connected"))
	}
	return &transferv1.RequestTransferResponse{Transfer: p.goOn(func(t *transferv1.Transfer) {
		t.State, t.Announcement, t.Summary = transferv1.State_STATE_REQUESTED, req.GetAnnouncement(), req.GetSummary()
	})}, nil
}

func (p *people) ExecuteTransfer(context.Context, *transferv1.ExecuteTransferRequest) (*transferv1.ExecuteTransferResponse, error) {
	p.note("execute")
	return &transferv1.ExecuteTransferResponse{}, nil
}

func (p *people) FinishBriefing(_ context.Context, req *transferv1.FinishBriefingRequest) (*transferv1.FinishBriefingResponse, error) {
	if req.GetDeclined() {
		p.note("decline")
	} else {
		p.note("finish")
	}
	return &transferv1.FinishBriefingResponse{}, nil
}

func (p *people) WatchTransfer(ctx context.Context, req *transferv1.WatchTransferRequest, to *connect.ServerStream[transferv1.WatchTransferResponse]) error {
	if req.GetCall() != callID {
		return connect.NewError(connect.CodeNotFound, errors.New("call: there is no such call"))
	}
	p.note("watch")
	for {
		p.mu.Lock()
		now, changed := p.now, p.changed
		p.mu.Unlock()
		if now != nil {
			if err := to.Send(&transferv1.WatchTransferResponse{Transfer: now}); err != nil {
				return err
			}
			p.mu.Lock()
			p.breaks--
			broken := p.breaks >= 0
			p.mu.Unlock()
			if broken {
				return connect.NewError(connect.CodeUnavailable, errors.New("stopping"))
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// withPeople is a job whose bot may have its caller handed over.
func (p *people) job(w *world, change ...func(ours object)) func(object) {
	return func(body object) {
		ours := object{"attempt": 1, "transfer_url": p.url, "token": "token-of-the-call", "call_id": callID}
		for _, f := range change {
			f(ours)
		}
		body["trunkline"] = ours
	}
}

// untilSaid waits until something has been said as often.
func (w *world) untilSaid(text string, times int) sim.Said {
	w.t.Helper()
	var last sim.Said
	w.until("to hear "+text, func() bool {
		n := 0
		for _, said := range w.Heard("call-1") {
			if said.Text == text {
				n, last = n+1, said
			}
		}
		return n >= times
	})
	return last
}

func (w *world) caller() string {
	c, _ := w.Call(w.call.ID)
	return c.Sessions[0]
}

// eventually waits for what the simulator does not know.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}

func TestBotHandsItsCallerOver(t *testing.T) {
	p := startPeople(t)
	p.refuse, p.breaks = 2, 1
	w := start(t, sim.CallSpec{})
	exit, _ := w.bot(w.job(p.job(w)), "--transfer", "supervisor", "--transfer-mode", "warm", "--announce", "One moment.", "--summary", "He wants his money back.")
	eventually(t, "the execution", func() bool { return p.wasAsked("execute") == 1 })
	if said := w.untilSaid("One moment.", 1); !slices.Equal(said.HeardBy, []string{w.caller()}) {
		t.Errorf("heard: %+v", said)
	}
	if p.wasAsked("request") != 3 || p.first.GetTarget() != "supervisor" || p.first.GetMode() != "warm" || p.first.GetIdempotencyKey() != "sim-bot" || p.first.GetCall() != callID {
		t.Errorf("asked %d times, at last for %v", p.wasAsked("request"), p.first)
	}
	p.goTo(transferv1.State_STATE_RINGING)
	p.goTo(transferv1.State_STATE_BRIEFING)
	eventually(t, "the end of the briefing", func() bool { return p.wasAsked("finish") == 1 })
	w.untilSaid("He wants his money back.", 1)
	p.goTo(transferv1.State_STATE_BRIEFING) // a change of something else
	p.goOn(func(t *transferv1.Transfer) { t.State, t.BotLeaves = transferv1.State_STATE_COMPLETED, true })
	w.exits(exit, 0)
	if n := len(w.Heard("call-1")); n != 2 || p.wasAsked("execute") != 1 || p.wasAsked("finish") != 1 || p.wasAsked("watch") != 2 {
		t.Errorf("said %d things, asked %v", n, p.asked)
	}
}

func TestBotPlaysItsPart(t *testing.T) {
	summary := func(t *transferv1.Transfer) { t.State, t.Summary = transferv1.State_STATE_BRIEFING, "summary" }
	for phrase, c := range map[string]struct {
		flags  []string
		change func(*transferv1.Transfer)
		said   string
		asked  string
	}{
		"an operator asks, with an announcement": {nil, func(t *transferv1.Transfer) {
			t.State, t.Announcement = transferv1.State_STATE_REQUESTED, "hello"
		}, "hello", "execute"},
		"an operator asks, and it announces nothing": {[]string{"--never-announce"}, func(t *transferv1.Transfer) {
			t.State, t.Announcement = transferv1.State_STATE_REQUESTED, "hello"
		}, "", ""},
		"a briefing":                 {nil, summary, "summary", "finish"},
		"a briefing that it keeps":   {[]string{"--never-brief"}, summary, "", ""},
		"a briefing that is no good": {[]string{"--decline-briefing"}, summary, "summary", "decline"},
		"nobody was had": {nil, func(t *transferv1.Transfer) {
			t.State, t.Reason = transferv1.State_STATE_FAILED, "no_answer"
		}, "transfer failed: no_answer", ""},
		"nobody was had, and the call ends": {nil, func(t *transferv1.Transfer) {
			t.State, t.Reason, t.Message = transferv1.State_STATE_FAILED, "no_answer", "We are closed."
		}, "transfer failed: no_answer|We are closed.", ""},
		"it is completed": {nil, func(t *transferv1.Transfer) { t.State = transferv1.State_STATE_COMPLETED }, "", ""},
		"it is taken back": {nil, func(t *transferv1.Transfer) {
			t.State, t.Reason = transferv1.State_STATE_CANCELLED, "cancelled"
		}, "", ""},
	} {
		t.Run(phrase, func(t *testing.T) {
			t.Parallel()
			p := startPeople(t)
			w := start(t, sim.CallSpec{})
			exit, _ := w.bot(w.job(p.job(w)), c.flags...)
			w.untilCall(sim.Connected)
			eventually(t, "the watch", func() bool { return p.wasAsked("watch") == 1 })
			p.goOn(c.change)
			want := []string{"watch"}
			if c.asked != "" {
				want = append(want, c.asked)
				eventually(t, c.asked, func() bool { return p.wasAsked(c.asked) == 1 })
			}
			var texts []string
			if c.said != "" {
				texts = strings.Split(c.said, "|")
				w.untilSaid(texts[len(texts)-1], 1)
			}
			p.goOn(func(t *transferv1.Transfer) { t.N++; t.State, t.Reason = transferv1.State_STATE_FAILED, "the last" })
			w.untilSaid("transfer failed: the last", 1)
			var got []string
			for _, said := range w.Heard("call-1") {
				got = append(got, said.Text)
			}
			if want := append(texts, "transfer failed: the last"); !slices.Equal(got, want) {
				t.Errorf("said %q, want %q", got, want)
			}
			p.mu.Lock()
			if !slices.Equal(p.asked, want) {
				t.Errorf("asked %q, want %q", p.asked, want)
			}
			p.mu.Unlock()
			if err := w.Hangup(w.call.ID); err != nil {
				t.Fatal(err)
			}
			w.exits(exit, 0)
		})
	}
}

func TestBotStaysWithItsCallerWhateverBecomesOfTheAsking(t *testing.T) {
	p := startPeople(t)
	for phrase, change := range map[string]func(object){
		"it may not":                 p.job(nil, func(ours object) { ours["call_id"] = "another" }),
		"nobody is there to ask":     p.job(nil, func(ours object) { ours["transfer_url"] = "http://127.0.0.1:1" }),
		"it is not told whom to ask": p.job(nil, func(ours object) { delete(ours, "transfer_url") }),
		"all is well":                p.job(nil),
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, sim.CallSpec{})
			exit, _ := w.bot(w.job(change), "--transfer", "supervisor")
			w.untilCall(sim.Connected)
			bot := w.Stats().Bots.List[0].SessionID
			for _, who := range []string{bot, w.caller()} { // on hold and back, as of a warm transfer
				for _, may := range []bool{false, true} {
					w.post("/v1/rooms/call-1/update-permissions", object{"data": object{who: object{"canReceive": object{"base": may}, "canSend": may, "hasPresence": may}}})
				}
			}
			if w.Stats().Bots.Live != 1 {
				t.Fatal("the bot has left")
			}
			if err := w.Hangup(w.call.ID); err != nil {
				t.Fatal(err)
			}
			w.exits(exit, 0)
		})
	}
}

func TestBridgeOnlyStays(t *testing.T) {
	p := startPeople(t)
	for phrase, end := range map[string]func(*world){
		"until the caller's leg is gone": func(w *world) { _ = w.Hangup(w.call.ID) },
		"until the room's end":           func(w *world) { w.post("/v1/rooms/call-1/eject", object{"user_ids": []string{"bot-1"}}) },
	} {
		t.Run(phrase, func(t *testing.T) {
			w := startOut(t)
			first, stop := w.bot(w.job(p.job(w)), "--outstay")
			w.untilCall(sim.Connected)
			operator := w.post("/v1/rooms/call-1/dialOut/start", object{"phoneNumber": operator, "userId": callID + "-t1.1"})["sessionId"].(string)
			w.untilDials("the answer", func(d []sim.Dial) bool { return d[0].State == sim.Answered })
			p.goOn(func(t *transferv1.Transfer) { t.State, t.Reason = transferv1.State_STATE_FAILED, "to be told once" })
			w.untilSaid("transfer failed: to be told once", 1)

			exit, _ := w.bot(w.job(p.job(w, func(ours object) { ours["bridge"], ours["attempt"] = true, 2 })), "--transfer", "supervisor")
			w.untilLive(2)
			stop()
			w.exits(first, 0)
			w.stopped(operator)
			w.stopped(w.dial(callee))
			if n := w.Stats().Bots.Live; n != 1 {
				t.Fatalf("%d bots are there", n)
			}
			end(w)
			w.exits(exit, 0)
			if n := len(w.Heard("call-1")); n != 1 || p.wasAsked("request") != 0 || w.forwards() != 1 {
				t.Errorf("said %d things, asked %v, forwarded %d times", n, p.asked, w.forwards())
			}
		})
	}
}

func TestBotThatTakesOverIsThereForThePersonWhomItsCallIsTo(t *testing.T) {
	p := startPeople(t)
	w := startOut(t)
	w.post("/v1/rooms/call-1", object{"properties": object{"dialout_config": object{"allow_room_start": true}}})
	people := object{}
	for _, id := range []string{callID + "-t1.1", ""} { // whoever is first, the operator is not the one
		people[id] = w.post("/v1/rooms/call-1/dialOut/start", object{"phoneNumber": operator, "userId": id + "x"})["sessionId"]
	}
	w.untilDials("the answers", func(d []sim.Dial) bool { return d[0].State == sim.Answered && d[1].State == sim.Answered })
	exit, _ := w.bot(w.job(func(body object) {
		delete(body, "dialin_settings")
		p.job(w, func(ours object) { ours["resumed"] = true })(body)
	}))
	w.untilLive(1)
	w.stopped(people[callID+"-t1.1"].(string))
	w.stopped(w.dial(callee))
	if w.Stats().Bots.Live != 1 {
		t.Fatal("the bot has left")
	}
	w.stopped(people[""].(string))
	w.exits(exit, 0)
}

func TestThereAreFourWaysToTransfer(t *testing.T) {
	if got := simbot.Main(t.Context(), strings.NewReader("{}"), []string{"--transfer-mode", "lukewarm"}); got != 2 {
		t.Errorf("exit status %d", got)
	}
}
