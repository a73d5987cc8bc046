// SPDX-License-Identifier: Apache-2.0

// Package runner asks Pipecat's development runner for bots: POST /start. It can neither list nor stop them, and does not
// tell of their end.
package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
)

// within is how long the runner may take to answer. It does so before the bot has done anything.
const within = 15 * time.Second

// Runner is one development runner.
type Runner struct {
	URL  string
	HTTP *http.Client
}

// start is the request. Without the transport a runner that was started for none in particular would answer 200 and wait
// for a browser.
type start struct {
	Transport       string          `json:"transport"`
	CreateDailyRoom bool            `json:"createDailyRoom"`
	Body            json.RawMessage `json:"body"`
}

// Start asks for a bot. Any 200 is one, also where the answer is null, as it is for a room that the runner has not made.
func (r Runner) Start(ctx context.Context, j remote.Job) (remote.Bot, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	body, err := j.WithRoom()
	if err != nil {
		return remote.Bot{}, fmt.Errorf("%w: %w", remote.ErrRefused, err)
	}
	a, err := remote.Ask(ctx, r.HTTP, http.MethodPost, r.URL+"/start", nil, start{Transport: "daily", Body: body})
	switch {
	case err != nil:
		return remote.Bot{}, fmt.Errorf("ask the runner: %w", err)
	case a.Status == http.StatusOK:
		var said struct{ SessionID string }
		_ = json.Unmarshal(a.Body, &said) // which session it is, is of no use
		return remote.Bot{Handle: said.SessionID}, nil
	case a.Status == http.StatusTooManyRequests:
		return remote.Bot{}, fmt.Errorf("%w: the runner answers %s", remote.ErrFull, a.Words())
	case a.Clear():
		return remote.Bot{}, fmt.Errorf("%w: the runner answers %s", remote.ErrRefused, a.Words())
	}
	return remote.Bot{}, fmt.Errorf("the runner answers %s", a.Words())
}
