// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

// watched is a bus and those who watch it, without the rest of call-control.
type watched struct {
	*world
	calls.Watched
}

func newWatched(t *testing.T) *watched {
	return &watched{
		newWorldWithout(t, bustest.Start(t).Setup(calls.Service.Needs)),
		calls.Watched{Keeps: 1000, Idle: time.Minute, Patience: time.Minute, Stopping: make(chan struct{})},
	}
}

// serve makes a view of the stream and answers for it.
func (w *watched) serve() controlv1connect.CallServiceClient {
	w.t.Helper()
	server := httptest.NewServer(w.handler())
	w.t.Cleanup(server.Close)
	return controlv1connect.NewCallServiceClient(server.Client(), server.URL)
}

func (w *watched) handler() http.Handler {
	v := w.View(week)
	followInto(w.t, w.control, v)
	return w.Handler(w.control, v)
}

// watcher is a stream whose answers are looked at one by one.
type watcher struct {
	t      *testing.T
	stream *connect.ServerStreamForClient[controlv1.WatchCallsResponse]
}

func watch(t *testing.T, client controlv1connect.CallServiceClient, req *controlv1.WatchCallsRequest) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	stream, err := client.WatchCalls(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); stream.Close() })
	return &watcher{t, stream}
}

// next gives the next answer. They do not change.
func (w *watcher) next() *controlv1.WatchCallsResponse {
	w.t.Helper()
	if !w.stream.Receive() {
		w.t.Fatalf("the stream has ended: %v", w.stream.Err())
	}
	return w.stream.Msg()
}

// first gives the calls of the first part, and the cursor that ends it.
func (w *watcher) first() (calls []*controlv1.Call, cursor string) {
	w.t.Helper()
	for {
		switch a := w.next(); {
		case a.GetEvent() != nil:
			w.t.Fatalf("%v in the first part", a)
		case a.GetCall() == nil:
			return calls, a.GetCursor()
		case a.GetCursor() != "":
			w.t.Fatalf("a cursor in the first part: %v", a)
		default:
			calls = append(calls, a.GetCall())
		}
	}
}

// ends reads on until the stream ends, which gives what was read and why it ended.
func (w *watcher) ends() (answers []*controlv1.WatchCallsResponse, err error) {
	for w.stream.Receive() {
		answers = append(answers, w.stream.Msg())
	}
	return answers, w.stream.Err()
}

// told names an answer, such as call BotReady.1 FORWARDING.
func told(a *controlv1.WatchCallsResponse) string {
	return a.GetCall().GetId() + " " + a.GetEvent().GetName() + " " + strings.TrimPrefix(a.GetCall().GetState().String(), "STATE_")
}

func TestAWatcherSeesWhatIsThereAndThenWhatComes(t *testing.T) {
	w := newWorld(t)
	one, two, over, later := bus.CallID("1"), bus.CallID("2"), bus.CallID("3"), bus.CallID("4")
	for _, id := range []string{one, two, over} {
		w.publish(id, comesIn(time.Minute, time.Hour))
	}
	w.publish(over, &callv1.CallEnded{}, &callv1.RoomReleased{})
	w.publish(two, &callv1.RoomReady{Attempt: 1, Room: "r"})
	eventually(t, "the view has seen it all", func() bool {
		res, err := w.client.ListCalls(t.Context(), &controlv1.ListCallsRequest{})
		return err == nil && len(res.GetCalls()) == 3
	})
	s := watch(t, w.client, &controlv1.WatchCallsRequest{})
	calls, cursor := s.first()
	if !slices.Equal(ids(calls), []string{one, two}) || calls[0].GetFrom() != "+14155550123" || cursor == "" {
		t.Fatalf("first %v, then %q", calls, cursor)
	}
	w.publish(two, &callv1.BotReady{Attempt: 1})
	w.publish(later, comesIn(time.Minute, time.Hour))
	w.publish(two, &callv1.CallEnded{Reason: "x"}, &callv1.BotExited{Attempt: 1})
	var got []string
	var last *controlv1.WatchCallsResponse
	for range 4 {
		last = s.next()
		got = append(got, told(last))
	}
	want := []string{two + " BotReady.1 FORWARDING", later + " CallReceived WAITING", two + " CallEnded ENDED", two + " BotExited.1 ENDED"}
	if !slices.Equal(got, want) {
		t.Errorf("then %v, want %v", got, want)
	}
	res, err := w.client.GetCall(t.Context(), &controlv1.GetCallRequest{Id: two})
	if err != nil || !proto.Equal(res.GetEvents()[4], last.GetEvent()) {
		t.Errorf("the event is told as %v and as %v", last.GetEvent(), res.GetEvents())
	}
}

func TestAWatcherSeesOnlyWhatItAsksFor(t *testing.T) {
	w := newWatched(t)
	client := w.serve()
	one, two := bus.CallID("1"), bus.CallID("2")
	w.publish(one, comesIn(time.Minute, time.Hour))
	w.publish(two, comesIn(time.Minute, time.Hour))
	w.publish(two, &callv1.AttemptRequested{Attempt: 2, Agent: "night"}, &callv1.RoomReady{Attempt: 2})
	w.publish(one, &callv1.RoomReady{Attempt: 1})
	last := bus.CallID("last")
	w.publish(last, &callv1.CallReceived{Agent: "sales"}, &callv1.AttemptRequested{Attempt: 2, Agent: "night"})
	for phrase, c := range map[string]struct {
		ask  *controlv1.WatchCallsRequest
		want []string
	}{
		"a call": {&controlv1.WatchCallsRequest{Id: one}, []string{one + " CallReceived WAITING", one + " RoomReady.1 WAITING"}},
		"an agent, until the call leaves it": {&controlv1.WatchCallsRequest{Agent: "sales"}, []string{
			one + " CallReceived WAITING", two + " CallReceived WAITING", two + " AttemptRequested.2 WAITING", one + " RoomReady.1 WAITING",
			last + " CallReceived WAITING", last + " AttemptRequested.2 WAITING",
		}},
		"an agent, once the call has come to it": {&controlv1.WatchCallsRequest{Agent: "night"}, []string{
			two + " AttemptRequested.2 WAITING", two + " RoomReady.2 WAITING", last + " AttemptRequested.2 WAITING",
		}},
		"a call of another agent": {&controlv1.WatchCallsRequest{Id: one, Agent: "night"}, nil},
	} {
		c.ask.Cursor = "0"
		s := watch(t, client, c.ask)
		if calls, cursor := s.first(); len(calls) != 0 || cursor != c.ask.Cursor {
			t.Errorf("%s: first %v, then %q", phrase, calls, cursor)
		}
		var got []string
		for range c.want {
			got = append(got, told(s.next()))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", phrase, got, c.want)
		}
	}
	calls, _ := watch(t, client, &controlv1.WatchCallsRequest{Agent: "night"}).first()
	if !slices.Equal(ids(calls), []string{two, last}) {
		t.Errorf("the agent's calls at first: %v", ids(calls))
	}
	if calls, _ = watch(t, client, &controlv1.WatchCallsRequest{Id: one}).first(); !slices.Equal(ids(calls), []string{one}) {
		t.Errorf("one call at first: %v", ids(calls))
	}
}

// A whole life of several calls at once, and what comes late.
func (w *watched) live(from, to int) {
	w.t.Helper()
	story := append([]proto.Message{comesIn(time.Minute, time.Hour)}, connects()...)
	story = append(story, &callv1.CallConnected{Attempt: 1}, &callv1.CallEnded{Outcome: callv1.Outcome_OUTCOME_COMPLETED}, &callv1.BotExited{Attempt: 1}, &callv1.RoomReleased{})
	for step := from; step < to+len(story); step++ {
		for i := range story {
			if n := step - i; n >= from && n < to {
				w.publish(bus.CallID(fmt.Sprint(n)), story[i])
			}
		}
	}
}

// readAll goes on behind a cursor until it has read so much, as a client does that is at times too slow.
func readAll(t *testing.T, client controlv1connect.CallServiceClient, cursor string, n int) (answers []*controlv1.WatchCallsResponse) {
	t.Helper()
	for len(answers) < n {
		s := watch(t, client, &controlv1.WatchCallsRequest{Cursor: cursor})
		for len(answers) < n && s.stream.Receive() {
			a := s.stream.Msg()
			cursor = a.GetCursor()
			if a.GetEvent() != nil {
				answers = append(answers, a)
			}
		}
		if err := s.stream.Err(); err != nil && connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Fatal(err)
		}
		s.stream.Close()
	}
	return answers
}

func TestAWatcherGoesOnBehindItsCursor(t *testing.T) {
	w := newWatched(t)
	client := w.serve()
	live := watch(t, client, &controlv1.WatchCallsRequest{})
	if calls, cursor := live.first(); len(calls) != 0 || cursor != "0" {
		t.Fatalf("at first %v and %q", calls, cursor)
	}
	const before, in = 15, 12 // calls, events in each
	w.live(0, before)
	var want []*controlv1.WatchCallsResponse
	for range before * in {
		want = append(want, live.next())
	}
	w.Keeps = 32 // of this one the stream must be read
	small := w.serve()
	cuts := []int{0, len(want) - 1}
	for range 3 {
		cuts = append(cuts, mathrand.IntN(len(want)))
	}
	t.Logf("cut at %v of %d", cuts, len(want))
	got := make([][]*controlv1.WatchCallsResponse, len(cuts))
	var reading sync.WaitGroup
	for i, cut := range cuts {
		reading.Go(func() {
			cursor := "0"
			if cut > 0 {
				cursor = want[cut-1].GetCursor()
			}
			got[i] = readAll(t, small, cursor, len(want)+before*in-cut)
		})
	}
	w.live(before, 2*before) // meanwhile
	for range before * in {
		want = append(want, live.next())
	}
	reading.Wait()
	for i, cut := range cuts {
		for j, a := range got[i] {
			if !proto.Equal(a, want[cut+j]) {
				t.Fatalf("cut at %d, answer %d is\n%v\nwant\n%v", cut, j, a, want[cut+j])
			}
		}
	}
}

func TestACursorThatIsOfNoUse(t *testing.T) {
	w := newWatched(t)
	w.live(0, 3) // 36 events
	stream, err := w.control.JS.Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	early := w.serve()
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(11)); err != nil { // 1 to 10
		t.Fatal(err)
	}
	late := w.serve()
	for cursor, c := range map[string]struct {
		code connect.Code
		text string
	}{
		"!":                {connect.CodeInvalidArgument, "cursor: "},
		"-1":               {connect.CodeInvalidArgument, "cursor: "},
		"01":               {connect.CodeInvalidArgument, "cursor: "},
		"Z":                {connect.CodeInvalidArgument, "cursor: "},
		"14":               {connect.CodeInvalidArgument, "cursor: "}, // 40
		"3w5e11264sgsg":    {connect.CodeInvalidArgument, "cursor: "}, // 2^64
		"zzzzzzzzzzzzzzzz": {connect.CodeInvalidArgument, "cursor: "},
		"0":                {connect.CodeOutOfRange, "cursor: "},
		"9":                {connect.CodeOutOfRange, "cursor: "},
	} {
		for _, client := range []controlv1connect.CallServiceClient{early, late} {
			answers, err := watch(t, client, &controlv1.WatchCallsRequest{Cursor: cursor}).ends()
			if connect.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) || len(answers) != 0 {
				t.Errorf("%s: %d answers, %v", cursor, len(answers), err)
			}
		}
	}
	s := watch(t, early, &controlv1.WatchCallsRequest{Cursor: "a"})
	s.first()
	if a := s.next(); a.GetEvent().GetSequence() != 11 {
		t.Errorf("the first event that is kept is told as %v", a)
	}
	w.live(3, 4)
	s = watch(t, late, &controlv1.WatchCallsRequest{Cursor: "10"})
	s.first()
	if a := s.next(); told(a) != bus.CallID("3")+" CallReceived WAITING" {
		t.Errorf("behind the end: %s", told(a))
	}
}

func TestWhatIsNoLongerKeptIsNoPartOfAReplay(t *testing.T) {
	w := newWatched(t)
	w.live(0, 3)
	w.publish(bus.CallID("whole"), comesIn(time.Minute, time.Hour))
	stream, err := w.control.JS.Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(4)); err != nil { // of 0 and 1 the beginning is gone
		t.Fatal(err)
	}
	for keeps, phrase := range map[int]string{1000: "from memory", 1: "from the stream"} {
		w.Keeps = keeps
		got := readAll(t, w.serve(), "3", 13) // 12 of 2, and 1
		for _, a := range got {
			if id := a.GetCall().GetId(); id != bus.CallID("2") && id != bus.CallID("whole") {
				t.Errorf("%s: %s", phrase, told(a))
			}
		}
	}
}

// narrow is a network that takes a few kilobytes at a time.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

func narrowClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return conn, err
	}}}
}

// comesWith is a call with about as many bytes.
func comesWith(bytes int) *callv1.CallReceived {
	random := make([]byte, bytes/2) // gzip makes nothing of it
	_, _ = rand.Read(random)
	return &callv1.CallReceived{From: hex.EncodeToString(random), Agent: "sales"}
}

func TestWhoReadsTooSlowlyIsToldToGoOn(t *testing.T) {
	w := newWatched(t)
	w.Keeps = 4
	server := httptest.NewUnstartedServer(w.handler())
	server.Listener = narrow{server.Listener}
	server.Start()
	t.Cleanup(server.Close)
	client := func(h *http.Client) controlv1connect.CallServiceClient {
		return controlv1connect.NewCallServiceClient(h, server.URL)
	}
	slow, fast := watch(t, client(narrowClient()), &controlv1.WatchCallsRequest{}), watch(t, client(server.Client()), &controlv1.WatchCallsRequest{})
	_, cursor := slow.first()
	fast.first()
	const calls = 40
	for i := range calls { // the fast one is kept waiting by nobody
		id := bus.CallID(fmt.Sprint(i))
		w.publish(id, comesWith(20<<10))
		if a := fast.next(); a.GetCall().GetId() != id {
			t.Fatalf("%s instead of call %d", told(a), i)
		}
	}
	answers, err := slow.ends()
	if connect.CodeOf(err) != connect.CodeResourceExhausted || !strings.Contains(err.Error(), "last cursor") || len(answers) == calls {
		t.Fatalf("%d answers, then %v", len(answers), err)
	}
	if len(answers) > 0 {
		cursor = answers[len(answers)-1].GetCursor()
	}
	answers = append(answers, readAll(t, client(server.Client()), cursor, calls-len(answers))...)
	for i, a := range answers {
		if a.GetCall().GetId() != bus.CallID(fmt.Sprint(i)) {
			t.Fatalf("answer %d is of another call", i)
		}
	}
}

func TestWhoDoesNotReadAtAllIsLeft(t *testing.T) {
	for phrase, stop := range map[string]bool{"when the service stops": true, "while it serves": false} {
		w := newWatched(t)
		w.Patience = 100 * time.Millisecond
		done, h := make(chan struct{}), w.handler()
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(rw, r)
			close(done)
		}))
		server.Listener = narrow{server.Listener}
		server.Start()
		watch(t, controlv1connect.NewCallServiceClient(narrowClient(), server.URL), &controlv1.WatchCallsRequest{}).first()
		for i := range 40 {
			w.publish(bus.CallID(fmt.Sprint(i)), comesWith(100<<10))
		}
		if stop {
			close(w.Stopping)
		}
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the stream goes on", phrase)
		}
		server.CloseClientConnections()
		server.Close()
	}
}

func TestFiftyWatchersSeeTheSame(t *testing.T) {
	w := newWatched(t)
	client := w.serve()
	const calls, in = 15, 12
	got := make([][]string, 50)
	var first, reading sync.WaitGroup
	for i := range got {
		first.Add(1)
		reading.Go(func() {
			s := watch(t, client, &controlv1.WatchCallsRequest{})
			s.first()
			first.Done()
			for range calls * in {
				got[i] = append(got[i], told(s.next()))
			}
		})
	}
	first.Wait()
	w.live(0, calls)
	reading.Wait()
	for i := range got {
		if !slices.Equal(got[i], got[0]) {
			t.Errorf("watcher %d saw\n%v\nand the first\n%v", i, got[i], got[0])
		}
	}
}

func TestStreamsOutliveTheLimitsOfRequests(t *testing.T) {
	w := newWatched(t)
	w.Idle, w.Patience = 10*time.Millisecond, 500*time.Millisecond
	const limit = 100 * time.Millisecond
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(w.handler())
	server.Config.ReadTimeout, server.Config.Protocols = limit, &protocols
	server.Start()
	t.Cleanup(server.Close)
	var http2 http.Protocols
	http2.SetUnencryptedHTTP2(true)
	h2c := &http.Client{Transport: &http.Transport{Protocols: &http2}}
	for phrase, client := range map[string]controlv1connect.CallServiceClient{
		"Connect with JSON": controlv1connect.NewCallServiceClient(server.Client(), server.URL, connect.WithProtoJSON()),
		"gRPC":              controlv1connect.NewCallServiceClient(h2c, server.URL, connect.WithGRPC()),
		"gRPC-Web":          controlv1connect.NewCallServiceClient(server.Client(), server.URL, connect.WithGRPCWeb()),
	} {
		s := watch(t, client, &controlv1.WatchCallsRequest{})
		_, cursor := s.first()
		for began := time.Now(); time.Since(began) < 6*limit; {
			if a := s.next(); a.GetCall() != nil || a.GetEvent() != nil || a.GetCursor() != cursor {
				t.Errorf("%s: %v", phrase, a)
			}
		}
		id := bus.CallID(phrase)
		w.publish(id, comesIn(time.Minute, time.Hour))
		for a := s.next(); a.GetCall().GetId() != id; a = s.next() {
		}
		s.stream.Close()
		if res, err := client.ListCalls(t.Context(), &controlv1.ListCallsRequest{}); err != nil || res.GetCalls()[0].GetId() != id {
			t.Errorf("%s, the next request: %v, %v", phrase, res, err)
		}
	}
}

func TestWhoSeesNothingIsTakenAlong(t *testing.T) {
	w := newWatched(t)
	w.Idle = 20 * time.Millisecond
	s := watch(t, w.serve(), &controlv1.WatchCallsRequest{Agent: "nobody"})
	_, cursor := s.first()
	w.live(0, 2)
	for cursor != "o" { // 24
		a := s.next()
		if a.GetCall() != nil || cmp.Compare(len(a.GetCursor()), len(cursor)) < 0 {
			t.Fatalf("%v after %s", a, cursor)
		}
		cursor = a.GetCursor()
	}
}

func TestAStreamDoesNotHoldTheStop(t *testing.T) {
	w := newWorld(t)
	s := watch(t, w.client, &controlv1.WatchCallsRequest{})
	s.first()
	began := time.Now()
	w.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if _, err := s.ends(); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "last cursor") {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestNobodyWatchesHalfAView(t *testing.T) {
	w := newWatched(t)
	v := w.View(week)
	server := httptest.NewServer(w.Handler(w.control, v))
	t.Cleanup(server.Close)
	stream := make(chan []*controlv1.Call, 1)
	go func() {
		calls, _ := watch(t, controlv1connect.NewCallServiceClient(server.Client(), server.URL), &controlv1.WatchCallsRequest{}).first()
		stream <- calls
	}()
	for i := range 3 {
		v.See(&bus.Event{CallID: bus.CallID(fmt.Sprint(i)), Seq: uint64(i + 1), Time: noon, Data: comesIn(time.Minute, time.Hour)})
	}
	v.CaughtUp()
	if calls := <-stream; len(calls) != 3 {
		t.Errorf("%d calls", len(calls))
	}
}
