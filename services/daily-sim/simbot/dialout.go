// SPDX-License-Identifier: Apache-2.0

package simbot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// maxTries is how often Pipecat's dial-out example dials before it gives up.
const maxTries = 5

// dialout is one person whom the bot is to call, in the words of start_dialout, and how far it has come.
type dialout struct {
	settings map[string]any
	session  string
	tries    int
	answered bool
}

// dialoutSettings reads both shapes in use: Pipecat Cloud's list, in camelCase, and the examples' one object, in
// snake_case.
type dialoutSettings []map[string]any

func (s *dialoutSettings) UnmarshalJSON(raw []byte) error {
	var list []map[string]any
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
	} else {
		var one map[string]any
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		if one != nil {
			list = append(list, camel(one))
		}
	}
	for _, one := range list {
		if one["phoneNumber"] == nil && one["sipUri"] == nil {
			return errors.New("dialout_settings: neither a phone number nor a SIP URI")
		}
	}
	*s = list
	return nil
}

// camel is what the examples make of their settings.
func camel(one map[string]any) map[string]any {
	settings := map[string]any{}
	for from, to := range map[string]string{
		"phone_number": "phoneNumber", "sip_uri": "sipUri", "caller_id": "callerId", "provider": "provider",
	} {
		if v := one[from]; v != nil {
			settings[to] = v
		}
	}
	if number, ok := settings["phoneNumber"]; ok {
		settings["displayName"] = number
	}
	return settings
}

// startDialling calls everybody, when the bot has joined.
func (b *bot) startDialling(ctx context.Context) {
	if !b.job.dials() {
		return
	}
	for _, settings := range b.job.Body.DialoutSettings {
		d := &dialout{settings: settings}
		b.dialouts = append(b.dialouts, d)
		b.dial(ctx, d)
	}
}

// dial starts one dial-out. An error is only said: a stock bot does not look at what start_dialout returns, and waits.
func (b *bot) dial(ctx context.Context, d *dialout) {
	d.tries++
	session, err := startDialout(ctx, b.client, b.job.RoomURL, b.session, d.settings)
	if err != nil {
		say("%v", err)
	}
	d.session = session
}

func (b *bot) dialoutAnswered(session string) {
	for _, d := range b.dialouts {
		d.answered = d.answered || d.session == session
	}
}

// dialoutFailed dials again after a dialout-error, at once, as Pipecat's example does; it is false when the bot gives
// up.
func (b *bot) dialoutFailed(ctx context.Context, session string) bool {
	for _, d := range b.dialouts {
		if d.session != session {
			continue
		}
		if d.answered || d.tries >= maxTries {
			return false
		}
		b.dial(ctx, d)
	}
	return true
}

// startDialout is daily-python's start_dialout over the join protocol.
func startDialout(ctx context.Context, client *http.Client, roomURL, me string, settings map[string]any) (session string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]any{"session_id": me, "settings": settings})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(roomURL, "/")+"/dialout/start", bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("dial out: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("dial out: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		SessionID string `json:"sessionId"`
		Error     string `json:"error"`
		Info      string `json:"info"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("dial out: %d and no JSON: %w", resp.StatusCode, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("dial out: %d %s: %s", resp.StatusCode, answer.Error, answer.Info)
	}
	return answer.SessionID, nil
}
