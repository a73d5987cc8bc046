// SPDX-License-Identifier: Apache-2.0

// Package remote is what bot-scheduler wants of a place where bots run without a keeper of ours. What each place speaks is
// in a package of its own.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// What Start fails with where it is certain that no bot has been started. Any other error is a doubt: one may have been.
var (
	// ErrRefused is returned for what would be refused again.
	ErrRefused = errors.New("refused")
	// ErrFull is returned for what may be taken later.
	ErrFull = errors.New("no capacity yet")
)

// Job is one call for one bot.
type Job struct {
	SessionID string          `json:"session_id"`
	RoomURL   string          `json:"room_url"`
	Token     string          `json:"token"` // Daily's meeting token
	Body      json.RawMessage `json:"body"`
}

// WithRoom is the job's body with the room in it, for a place that has no other way to name a room that is there already.
func (j Job) WithRoom() (json.RawMessage, error) {
	body := map[string]json.RawMessage{}
	err := json.Unmarshal(j.Body, &body)
	for key, value := range map[string]string{"room_url": j.RoomURL, "token": j.Token} {
		if err == nil {
			body[key], err = json.Marshal(value)
		}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(body)
}

// Bot is one that has been started.
type Bot struct {
	Handle string     // what the place calls it; empty where it says nothing
	Ended  <-chan End // tells of its end, where the place does so by itself; nil elsewhere
}

// End is the end of a bot.
type End struct {
	Status int // 0: as the bot wanted
	Reason string
	// Lost: nothing is heard of it any more, and whether it lives is not known.
	Lost bool
}

// Place is where bots run. The context is the life of this process: what takes too long is the place's own matter.
type Place interface {
	Start(ctx context.Context, j Job) (Bot, error)
}

// Overseer is a place that can be asked about its bots.
type Overseer interface {
	Place
	// Look gives a bot's end, or nil while it lives.
	Look(ctx context.Context, handle string) (*End, error)
	// Stop stops a bot. That it has gone already is well.
	Stop(ctx context.Context, handle string) error
	// Alive names the bots that live and were started in a span of time, by whomever.
	Alive(ctx context.Context, from, to time.Time) ([]string, error)
}
