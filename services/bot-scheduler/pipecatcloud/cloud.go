// SPDX-License-Identifier: Apache-2.0

// Package pipecatcloud asks Pipecat Cloud for bots, looks after their sessions and stops them.
package pipecatcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
)

const (
	// startWithin is how long a start may take to be answered: a cold one takes 10 s at best.
	startWithin = 60 * time.Second
	// askWithin bounds one other request, and stopWithin the tries to stop a session.
	askWithin  = 10 * time.Second
	stopWithin = 20 * time.Second

	page = 100 // sessions asked for at once; an answer may hold fewer
)

// atCapacity is the code of an agent all of whose instances are busy, whatever status it comes with.
const atCapacity = "PCC-AGENT-AT-CAPACITY"

// Agent is an agent at Pipecat Cloud.
type Agent struct {
	URL        string // of the API
	Name       string
	Key        string // the public key, which starts
	PrivateKey string // which sees and stops
	HTTP       *http.Client
}

// start is the request. createDailyRoom is left out: the room is there already, and the body names it.
type start struct {
	Transport string          `json:"transport"`
	Body      json.RawMessage `json:"body"`
}

// Start starts a session. There is no key by which a start could be repeated: one of which nothing is known is a doubt,
// also where the answer names no session.
func (g Agent) Start(ctx context.Context, j remote.Job) (remote.Bot, error) {
	body, err := j.WithRoom()
	if err != nil {
		return remote.Bot{}, fmt.Errorf("%w: %w", remote.ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	a, err := remote.Ask(ctx, g.HTTP, http.MethodPost, g.URL+"/public/"+url.PathEscape(g.Name)+"/start", bearer(g.Key), start{"daily", body})
	if err != nil {
		return remote.Bot{}, fmt.Errorf("ask Pipecat Cloud: %w", err)
	}
	switch {
	case a.Status == http.StatusOK:
		var said struct{ SessionID string }
		if json.Unmarshal(a.Body, &said) != nil || said.SessionID == "" {
			return remote.Bot{}, errors.New("Pipecat Cloud names no session")
		}
		return remote.Bot{Handle: said.SessionID}, nil
	case full(a):
		return remote.Bot{}, fmt.Errorf("%w: Pipecat Cloud answers %s", remote.ErrFull, a.Words())
	case a.Clear():
		return remote.Bot{}, fmt.Errorf("%w: Pipecat Cloud answers %s", remote.ErrRefused, a.Words())
	}
	return remote.Bot{}, fmt.Errorf("Pipecat Cloud answers %s", a.Words())
}

// full reads both shapes of an error: {"error","code"}, and {"status","code","message"} for what comes too often.
func full(a remote.Answer) bool {
	var said struct{ Code any }
	_ = json.Unmarshal(a.Body, &said) // without one the status tells
	return a.Status == http.StatusTooManyRequests || a.Status >= 400 && said.Code == atCapacity
}

// session is as much of a session as matters.
type session struct {
	SessionID        string     `json:"sessionId"`
	CreatedAt        time.Time  `json:"createdAt"`
	EndedAt          *time.Time `json:"endedAt"`
	CompletionStatus string     `json:"completionStatus"`
}

// Look gives a session's end, or nil. One that is not known has ended.
func (g Agent) Look(ctx context.Context, handle string) (*remote.End, error) {
	a, err := g.ask(ctx, http.MethodGet, "/"+url.PathEscape(handle))
	if err != nil {
		return nil, err
	}
	if a.Status == http.StatusNotFound {
		return &remote.End{Status: -1, Reason: "its session is gone"}, nil
	}
	var s session
	if err := decode(a, &s); err != nil {
		return nil, err
	}
	if s.EndedAt == nil {
		return nil, nil
	}
	end := &remote.End{Status: -1, Reason: "its session has ended: " + s.CompletionStatus}
	if s.CompletionStatus == "HTTP_COMPLETED" {
		end.Status = 0
	}
	return end, nil
}

// Stop stops a session at once. It is asked again until it is clear what became of it: that the session is gone is well.
func (g Agent) Stop(ctx context.Context, handle string) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		a, err := g.ask(ctx, http.MethodDelete, "/"+url.PathEscape(handle))
		switch {
		case err != nil:
			return struct{}{}, err
		case a.Status == http.StatusOK || a.Status == http.StatusNotFound:
			return struct{}{}, nil
		}
		err = fmt.Errorf("stop session: Pipecat Cloud answers %s", a.Words())
		if a.Clear() && a.Status != http.StatusTooManyRequests {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(stopWithin))
	return err
}

// Alive names the sessions that are active and were created in a span of time. Others than ours may be among them.
func (g Agent) Alive(ctx context.Context, from, to time.Time) (ids []string, err error) {
	for offset := 0; ; {
		query := url.Values{"status": {"active"}, "limit": {strconv.Itoa(page)}, "offset": {strconv.Itoa(offset)}}
		a, err := g.ask(ctx, http.MethodGet, "?"+query.Encode())
		if err != nil {
			return nil, err
		}
		var list struct {
			TotalCount int `json:"total_count"`
			Sessions   []session
		}
		if err := decode(a, &list); err != nil {
			return nil, err
		}
		for _, s := range list.Sessions {
			if s.EndedAt == nil && !s.CreatedAt.Before(from) && !s.CreatedAt.After(to) {
				ids = append(ids, s.SessionID)
			}
		}
		if offset += len(list.Sessions); len(list.Sessions) == 0 || offset >= list.TotalCount {
			return ids, nil
		}
	}
}

// ask asks about the agent's sessions.
func (g Agent) ask(ctx context.Context, method, rest string) (remote.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	a, err := remote.Ask(ctx, g.HTTP, method, g.URL+"/agents/"+url.PathEscape(g.Name)+"/sessions"+rest, bearer(g.PrivateKey), nil)
	if err != nil {
		return a, fmt.Errorf("ask Pipecat Cloud for sessions: %w", err)
	}
	return a, nil
}

func decode(a remote.Answer, into any) error {
	if a.Status != http.StatusOK {
		return fmt.Errorf("ask for sessions: Pipecat Cloud answers %s", a.Words())
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("ask for sessions: Pipecat Cloud's answer: %w", err)
	}
	return nil
}

func bearer(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }
