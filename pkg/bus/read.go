// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reader asks the stream for events, by JetStream's direct get of several messages (ADR 31 of NATS). All
// answers come to one inbox, so that no read needs a subscription of its own.
type reader struct {
	nc *nats.Conn

	mu      sync.Mutex
	inbox   string // ends with a dot; empty until the first read
	asked   uint64
	answers map[string]*answer // by the inbox's last token
}

// answer is what has come so far. It is the reader's until it is done.
type answer struct {
	messages []*nats.Msg
	end      *nats.Msg
	done     chan struct{}
}

// askAgain is how long an answer may take: one that was on its way when a connection broke never comes.
const askAgain = time.Second

// request is a direct get of several messages.
type request struct {
	// Last asks for the last message on each subject of a filter.
	Last []string `json:"multi_last,omitempty"`
	// Next asks for all messages on the subjects of a filter, Most at a time.
	Next string `json:"next_by_subj,omitempty"`
	Most int    `json:"batch,omitempty"`
	From uint64 `json:"seq,omitempty"`
}

// story gives what the stream holds of a call from a sequence on, in the order of the stream. An answer may be a
// replica's that lags behind.
func (r *reader) story(ctx context.Context, callID string, from uint64) ([]*nats.Msg, error) {
	return r.read(ctx, request{Last: []string{subjectRoot + "." + callID + ".>"}, From: from}, "No Results")
}

// page gives what the stream holds of all calls from a sequence on, up to so many messages.
func (r *reader) page(ctx context.Context, from uint64, most int) ([]*nats.Msg, error) {
	return r.read(ctx, request{Next: subjectRoot + ".>", Most: most, From: from}, "Message Not Found")
}

// read asks until there is a whole answer. none is what the broker says when it has nothing of the kind.
func (r *reader) read(ctx context.Context, asked request, none string) ([]*nats.Msg, error) {
	data, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	for {
		messages, err := r.ask(ctx, data, none)
		if !errors.Is(err, errNoAnswer) || ctx.Err() != nil {
			return messages, err
		}
	}
}

// last gives the message that the stream holds on a subject, or nil. The answer may be a replica's that lags behind.
func (r *reader) last(ctx context.Context, subject string) (*nats.Msg, error) {
	msg, err := r.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"DIRECT.GET."+Stream+"."+subject, nil)
	if err != nil {
		return nil, err
	}
	switch status := msg.Header.Get("Status"); status {
	case "":
		return msg, nil
	case "404":
		return nil, nil
	default:
		return nil, fmt.Errorf("the broker answers %s %s", status, msg.Header.Get("Description"))
	}
}

var errNoAnswer = errors.New("no answer, or only a part of one")

func (r *reader) ask(ctx context.Context, request []byte, none string) ([]*nats.Msg, error) {
	token, a, err := r.expect()
	if err != nil {
		return nil, err
	}
	defer r.forget(token)
	if err := r.nc.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+Stream, r.inbox+token, request); err != nil {
		return nil, err
	}
	late := time.NewTimer(askAgain)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late.C:
		return nil, errNoAnswer
	case <-a.done:
	}
	status, description := a.end.Header.Get("Status"), a.end.Header.Get("Description")
	switch {
	case status == "204":
	case status == "404" && description == none:
		return nil, nil
	case status == "503":
		return nil, nats.ErrNoResponders
	default:
		return nil, fmt.Errorf("the broker answers %s %s", status, description)
	}
	// Each message, and the end, names the one before it.
	before := "0"
	for _, m := range append(a.messages, a.end) {
		if m.Header.Get(jetstream.LastSequenceHeader) != before {
			return nil, errNoAnswer
		}
		before = m.Header.Get(jetstream.SequenceHeader)
	}
	return a.messages, nil
}

func (r *reader) expect() (token string, a *answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inbox == "" {
		inbox := r.nc.NewInbox() + "."
		sub, err := r.nc.Subscribe(inbox+"*", r.take)
		if err != nil {
			return "", nil, err
		}
		if err := sub.SetPendingLimits(-1, -1); err != nil { // as many as there are reads: none is dropped
			return "", nil, err
		}
		r.inbox, r.answers = inbox, map[string]*answer{}
	}
	r.asked++
	token, a = strconv.FormatUint(r.asked, 36), &answer{done: make(chan struct{})}
	r.answers[token] = a
	return token, a, nil
}

func (r *reader) forget(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.answers, token)
}

// take adds a message to the answer that it belongs to. One with a status is the answer's last.
func (r *reader) take(msg *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	token := strings.TrimPrefix(msg.Subject, r.inbox)
	a := r.answers[token]
	switch {
	case a == nil: // nobody waits for it any more
	case msg.Header.Get("Status") == "":
		a.messages = append(a.messages, msg)
	default:
		a.end = msg
		delete(r.answers, token)
		close(a.done)
	}
}
