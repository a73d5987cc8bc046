// SPDX-License-Identifier: Apache-2.0

package simbot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// job is what the bot reads on stdin.
type job struct {
	RoomURL   string `json:"room_url"`
	Token     string `json:"token"`
	SessionID string `json:"session_id"`
	Body      struct {
		DialinSettings  *dialinSettings `json:"dialin_settings"`
		DialoutSettings dialoutSettings `json:"dialout_settings"`
		APIKey          string          `json:"daily_api_key"`
		APIURL          string          `json:"daily_api_url"`
		Trunkline       struct {
			URL         string `json:"url"`
			Token       string `json:"token"`
			TransferURL string `json:"transfer_url"`
			CallID      string `json:"call_id"`
			Attempt     int    `json:"attempt"`
			Resumed     bool   `json:"resumed"`
			Bridge      bool   `json:"bridge"` // only to be there, while two people talk
		} `json:"trunkline"`
	} `json:"body"`
}

type dialinSettings struct {
	CallID     string `json:"call_id"`
	CallDomain string `json:"call_domain"`
}

func readJob(r io.Reader) (job, error) {
	var j job
	if err := json.NewDecoder(r).Decode(&j); err != nil {
		return j, fmt.Errorf("read the job on stdin: %w", err)
	}
	if j.RoomURL == "" {
		return j, errors.New("the job has no room_url")
	}
	return j, nil
}

// asks tells whether the bot asks for a caller: only one that starts with a held call does.
func (j job) asks() bool {
	return j.Body.DialinSettings != nil && !j.takesOver()
}

// dials tells whether the bot calls somebody itself: only one that starts with the settings for it does.
func (j job) dials() bool {
	return len(j.Body.DialoutSettings) > 0 && !j.takesOver()
}

// takesOver tells whether the caller is in the room already.
func (j job) takesOver() bool { return j.Body.Trunkline.Resumed || j.Body.Trunkline.Bridge }

// out tells whether the call is one to a called person, by whomever they are dialled.
func (j job) out() bool { return j.Body.DialinSettings == nil }
