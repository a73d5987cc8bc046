// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trunkline/trunkline/pkg/bus"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

const (
	// watchIdle is how long a stream says nothing: less than what proxies and networks take for dead.
	watchIdle = 15 * time.Second
	// watchPatience is how long a reader may take for one answer. It is less than what the service has to end.
	watchPatience = 5 * time.Second
	// lagPause is how long one waits for what is stored, and has not reached a replica.
	lagPause = 20 * time.Millisecond
)

// watching is what those who watch have in common.
type watching struct {
	// stopping is closed when the service is to end: streams end with it.
	stopping <-chan struct{}
	// idle is how long a stream says nothing, patience how long its reader may take for one answer.
	idle, patience time.Duration
}

func newWatching(ctx context.Context) watching { return watching{ctx.Done(), watchIdle, watchPatience} }

// WatchCalls gives the calls that are not over, and then every event of every call as it comes.
func (r *rpc) WatchCalls(ctx context.Context, req *controlv1.WatchCallsRequest, to *connect.ServerStream[controlv1.WatchCallsResponse]) error {
	w := &watch{rpc: r, req: req, stream: to, control: controlOf(ctx), silence: time.NewTimer(r.watching.idle)}
	defer w.silence.Stop()
	defer func() { _ = w.control.SetWriteDeadline(time.Now().Add(r.watching.patience)) }()
	select {
	case <-r.view.caughtUp:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.watching.stopping:
		return errStopping()
	}
	start := w.resume
	if req.GetCursor() == "" {
		start = w.firstPart
	}
	if err := start(ctx); err != nil {
		return err
	}
	if err := w.sendCursor(); err != nil {
		return err
	}
	return w.goOn(ctx)
}

func errStopping() error {
	return connect.NewError(connect.CodeUnavailable, errors.New("the service is stopping: go on from the last cursor"))
}

// watch is one who watches.
type watch struct {
	*rpc
	req     *controlv1.WatchCallsRequest
	stream  *connect.ServerStream[controlv1.WatchCallsResponse]
	control *http.ResponseController
	silence *time.Timer

	at   uint64 // everything up to this sequence has been told
	past *past  // until it has caught up with what is told now
}

// firstPart gives the calls that are not over.
func (w *watch) firstPart(context.Context) error {
	calls, last := w.view.Running()
	for _, c := range calls {
		if fits(w.req.GetId(), c.GetId()) && fits(w.req.GetAgent(), c.GetAgent()) {
			if err := w.send(&controlv1.WatchCallsResponse{Call: c}); err != nil {
				return err
			}
		}
	}
	w.at = last
	return nil
}

// resume takes the request's cursor as what has been told.
func (w *watch) resume(ctx context.Context) (err error) {
	given := w.req.GetCursor()
	if w.at, err = strconv.ParseUint(given, 36, 64); err != nil || cursor(w.at) != given {
		return invalid("cursor: %q is not one that was given out", given)
	}
	if w.past, err = newPast(w.Bus); err != nil {
		return err
	}
	return w.kept(ctx)
}

// kept reports as an error that what comes next is not kept any more, or that there was never so much.
func (w *watch) kept(ctx context.Context) error {
	first, last, err := w.Bus.Kept(ctx)
	switch {
	case err != nil:
		return connect.NewError(connect.CodeUnavailable, err)
	case w.at > last:
		return invalid("cursor: %q is not one that was given out", cursor(w.at))
	case w.at+1 < first:
		return connect.NewError(connect.CodeOutOfRange, fmt.Errorf("cursor: what came behind %q is not kept any more: watch without a cursor", cursor(w.at)))
	}
	return nil
}

// goOn tells what comes, until the reader goes or the service ends.
func (w *watch) goOn(ctx context.Context) error {
	atOnce := make(chan struct{})
	close(atOnce)
	for {
		next, more, ok := w.view.hub.after(w.at)
		switch {
		case ok:
			w.past = nil
			for _, t := range next {
				if err := w.tell(t); err != nil {
					return err
				}
			}
			if len(next) > 0 {
				more = atOnce
			}
		case w.past == nil:
			return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("read too slowly: go on from the last cursor, %q at the latest", cursor(w.at)))
		default:
			if err := w.tellPast(ctx); err != nil {
				return err
			}
			more = atOnce
		}
		select {
		case <-more:
		case <-w.silence.C:
			if err := w.sendCursor(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-w.watching.stopping:
			return errStopping()
		}
	}
}

// tellPast tells the next page of what is stored.
func (w *watch) tellPast(ctx context.Context) error {
	events, next, err := w.Bus.Page(ctx, w.at+1)
	if err != nil {
		return connect.NewError(connect.CodeUnavailable, err)
	}
	if len(events) == 0 || events[0].Seq > w.at+1 {
		if err := w.kept(ctx); err != nil {
			return err
		}
	}
	if next == w.at+1 {
		time.Sleep(lagPause)
	}
	for _, e := range events {
		t, err := w.past.see(ctx, e)
		if err != nil {
			return connect.NewError(connect.CodeUnavailable, err)
		}
		if t != nil {
			if err := w.tell(t); err != nil {
				return err
			}
		}
	}
	w.at = next - 1
	return nil
}

// tell tells of an event, if it is wanted: an agent's calls are, and the event by which one leaves it.
func (w *watch) tell(t *told) error {
	w.at = t.seq
	agent := w.req.GetAgent()
	if !fits(w.req.GetId(), t.call.GetId()) || !fits(agent, t.call.GetAgent()) && !fits(agent, t.was.GetAgent()) {
		return nil
	}
	return w.send(t.answer())
}

func (w *watch) sendCursor() error {
	return w.send(&controlv1.WatchCallsResponse{Cursor: cursor(w.at)})
}

func (w *watch) send(answer *controlv1.WatchCallsResponse) error {
	select {
	case <-w.watching.stopping:
		return errStopping()
	default:
	}
	w.silence.Reset(w.watching.idle)
	_ = w.control.SetWriteDeadline(time.Now().Add(w.watching.patience))
	err := w.stream.Send(answer)
	_ = w.control.SetWriteDeadline(time.Time{}) // it would end a stream of HTTP/2 that says nothing
	return err
}

// past tells of stored events what was told of them when they came.
type past struct {
	bus   *bus.Bus
	calls *lru.Cache[string, *entry]
}

// pastCalls is how many calls are remembered on the way. The others are read again.
const pastCalls = 1000

func newPast(b *bus.Bus) (*past, error) {
	calls, err := lru.New[string, *entry](pastCalls)
	return &past{b, calls}, err
}

// see gives what is told of the next event: nothing, if the call's beginning is no longer kept.
func (p *past) see(ctx context.Context, e *bus.Event) (*told, error) {
	known, ok := p.calls.Get(e.CallID)
	if !ok {
		if known = begin(e); known == nil {
			var err error
			if known, err = p.before(ctx, e); err != nil {
				return nil, err
			}
		}
		p.calls.Add(e.CallID, known)
	}
	if known == nil {
		return nil, nil
	}
	return known.see(e), nil
}

// before gives an event's call as it stood before it, or nil if its beginning is no longer kept.
func (p *past) before(ctx context.Context, e *bus.Event) (*entry, error) {
	story, err := p.bus.Story(ctx, e.CallID)
	if err != nil {
		return nil, err
	}
	if story.Find(e.Key()) == nil {
		return nil, fmt.Errorf("a replica does not know %s yet", e.ID())
	}
	known := begin(story.Events[0])
	if known == nil {
		return nil, nil
	}
	for _, earlier := range story.Events {
		if earlier.Seq < e.Seq {
			known.see(earlier)
		}
	}
	return known, nil
}

type controlKey struct{}

// impatient lets a handler's streams limit how long they wait for who reads them.
func impatient(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), controlKey{}, control)))
		_ = control.SetWriteDeadline(time.Time{}) // the connection may be used again
	})
}

func controlOf(ctx context.Context) *http.ResponseController {
	control, _ := ctx.Value(controlKey{}).(*http.ResponseController)
	return control
}
