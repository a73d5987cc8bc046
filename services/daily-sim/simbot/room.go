// SPDX-License-Identifier: Apache-2.0

package simbot

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// event is a line of the join protocol, as far as a bot looks at it.
type event struct {
	Event       string `json:"event"`
	SessionID   string `json:"session_id"` // joined: the bot's own
	Leg         string `json:"sessionId"`  // of a phone
	UserID      string `json:"userId"`     // of a phone that was called, if it was given one
	Who         string `json:"who"`        // sim-heard
	SIPEndpoint string `json:"sipEndpoint"`
	Type        string `json:"type"`

	Participants map[string]present `json:"participants"` // joined: who was there
}

// present is a participant whom the bot finds in the room.
type present struct {
	SessionID string `json:"sessionId"`
	UserID    string `json:"userId"`
	Kind      string `json:"participantType"` // empty for who is no phone
	JoinedAt  int64  `json:"joinedAt"`
}

// room is a joined room; closing it is leaving.
type room struct {
	body   io.ReadCloser
	events chan event // closed when the stream ends
}

// join enters the room that the job names; the stream lives until ctx ends or close.
func join(ctx context.Context, client *http.Client, j job) (*room, error) {
	body, err := json.Marshal(map[string]string{"token": j.Token, "user_name": "sim-bot"})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(j.RoomURL, "/")+"/join", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, fmt.Errorf("join: %d %s", resp.StatusCode, bytes.TrimSpace(text))
	}
	rm := &room{body: resp.Body, events: make(chan event, 64)}
	go rm.read(ctx)
	return rm, nil
}

// read ends with the stream, which ends with ctx.
func (rm *room) read(ctx context.Context) {
	defer close(rm.events)
	lines := bufio.NewScanner(rm.body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Event == "ping" {
			continue
		}
		select {
		case rm.events <- e:
		case <-ctx.Done():
			return
		}
	}
}

func (rm *room) close() {
	rm.body.Close()
	for range rm.events { // the reader is gone when this ends
	}
}

// ask is pinlessCallUpdate as Pipecat does it: once, ten seconds, no retry.
func ask(ctx context.Context, client *http.Client, j job, callID, sipURI string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := post(ctx, client, strings.TrimRight(j.Body.APIURL, "/")+"/dialin/pinlessCallUpdate", j.Body.APIKey, map[string]string{
		"callId": callID, "callDomain": j.Body.DialinSettings.CallDomain, "sipUri": sipURI,
	})
	if err != nil {
		return fmt.Errorf("ask for the caller: %w", err)
	}
	return nil
}

// tell tells Trunkline of something that happened, as a bot does that knows it.
func tell(ctx context.Context, client *http.Client, j job, what string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := post(ctx, client, j.Body.Trunkline.URL+"/event", j.Body.Trunkline.Token, map[string]any{"seq": 1, "type": what}); err != nil {
		return fmt.Errorf("tell of %s: %w", what, err)
	}
	return nil
}

// speak says something in the room.
func (b *bot) speak(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := post(ctx, b.client, strings.TrimRight(b.job.RoomURL, "/")+"/say", "", map[string]string{"session_id": b.session, "text": text}); err != nil {
		return fmt.Errorf("say something: %w", err)
	}
	return nil
}

// post sends JSON, and wants 200.
func post(ctx context.Context, client *http.Client, url, token string, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", resp.StatusCode, bytes.TrimSpace(text))
	}
	return nil
}
