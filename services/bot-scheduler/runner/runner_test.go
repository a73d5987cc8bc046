// SPDX-License-Identifier: Apache-2.0

package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
	"github.com/trunkline/trunkline/services/bot-scheduler/runner"
	"github.com/trunkline/trunkline/services/bot-scheduler/runner/runnertest"
)

var job = remote.Job{SessionID: "abc-1", RoomURL: "https://example.daily.co/tl-abc-1", Token: "meeting", Body: json.RawMessage(`{"daily_api_key":"k"}`)}

func TestTheRunnerStartsABotForARoomThatIsThere(t *testing.T) {
	for _, only := range []string{"", "daily"} {
		s := runnertest.Start(t)
		s.Only, s.Run = only, func(context.Context, remote.Job) int { return 0 }
		// It answers null, as it does for a room that it has not made.
		bot, err := runner.Runner{URL: s.URL, HTTP: remote.Client()}.Start(t.Context(), job)
		if err != nil || bot.Handle != "" || bot.Ended != nil {
			t.Errorf("-t %s: %+v, %v", only, bot, err)
		}
		got := s.Started()
		var body map[string]string
		if len(got) != 1 || json.Unmarshal(got[0].Body, &body) != nil || body["room_url"] != job.RoomURL || body["token"] != job.Token || body["daily_api_key"] != "k" {
			t.Errorf("-t %s: started %+v", only, got)
		}
	}
}

func TestWhatARunnersAnswerMeans(t *testing.T) {
	for phrase, c := range map[string]struct {
		fault remotetest.Fault
		want  error // nil: a doubt
	}{
		"another transport":     {remotetest.Fault{Status: 400, Body: `{"detail":"Transport 'daily' is not allowed."}`}, remote.ErrRefused},
		"no such path":          {remotetest.Fault{Status: 404, Body: `{"detail":"Not Found"}`}, remote.ErrRefused},
		"somewhere else":        {remotetest.Fault{Status: 307}, nil},
		"a proxy has no room":   {remotetest.Fault{Status: 429}, remote.ErrFull},
		"it fell over":          {remotetest.Fault{Status: 500, Body: "Internal Server Error"}, nil},
		"a proxy timed out":     {remotetest.Fault{Status: 504}, nil},
		"the connection breaks": {remotetest.Fault{Drops: true}, nil},
	} {
		s := runnertest.Start(t)
		s.Fail(c.fault)
		_, err := runner.Runner{URL: s.URL, HTTP: remote.Client()}.Start(t.Context(), job)
		if certain := errors.Is(err, remote.ErrRefused) || errors.Is(err, remote.ErrFull); err == nil || certain != (c.want != nil) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", phrase, err)
		}
	}
	s := runnertest.Start(t)
	s.Close()
	if _, err := (runner.Runner{URL: s.URL, HTTP: remote.Client()}).Start(t.Context(), job); !errors.Is(err, remote.ErrRefused) {
		t.Errorf("nobody there: %v", err)
	}
}
