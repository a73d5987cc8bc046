// SPDX-License-Identifier: Apache-2.0

package pipecatcloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/bot-scheduler/pipecatcloud"
	"github.com/trunkline/trunkline/services/bot-scheduler/pipecatcloud/cloudtest"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
)

var job = remote.Job{SessionID: "abc-1", RoomURL: "https://example.daily.co/tl-abc-1", Token: "meeting", Body: json.RawMessage(`{"daily_api_key":"k"}`)}

func cloud(t *testing.T) (*cloudtest.Server, pipecatcloud.Agent) {
	s := cloudtest.Start(t, "support")
	s.Run = func(ctx context.Context, _ remote.Job) int { <-ctx.Done(); return 0 }
	return s, pipecatcloud.Agent{URL: s.URL + "/v1", Name: "support", Key: cloudtest.Key, PrivateKey: cloudtest.PrivateKey, HTTP: remote.Client()}
}

func TestASessionIsStartedSeenAndStopped(t *testing.T) {
	s, agent := cloud(t)
	began := time.Now()
	var all []string
	for range 12 { // more than one answer lists
		bot, err := agent.Start(t.Context(), job)
		if err != nil || bot.Handle == "" {
			t.Fatalf("%+v, %v", bot, err)
		}
		all = append(all, bot.Handle)
	}
	var body map[string]string
	if json.Unmarshal(s.Started()[0].Body, &body) != nil || body["room_url"] != job.RoomURL || body["token"] != job.Token || body["daily_api_key"] != "k" {
		t.Errorf("started with %v", body)
	}
	alive, err := agent.Alive(t.Context(), began.Add(-time.Minute), began.Add(time.Minute))
	if err != nil || !slices.Equal(alive, all) {
		t.Errorf("alive: %v, %v", alive, err)
	}
	if alive, err := agent.Alive(t.Context(), began.Add(-time.Hour), began.Add(-time.Minute)); err != nil || len(alive) > 0 {
		t.Errorf("alive of before: %v, %v", alive, err)
	}
	if end, err := agent.Look(t.Context(), all[0]); err != nil || end != nil {
		t.Errorf("before its end: %+v, %v", end, err)
	}
	for range 2 { // that it has gone already is well
		if err := agent.Stop(t.Context(), all[0]); err != nil {
			t.Error(err)
		}
		s.Wait(11)
	}
	if end, err := agent.Look(t.Context(), all[0]); err != nil || end == nil || end.Status != 0 {
		t.Errorf("after its end: %+v, %v", end, err)
	}
	if end, err := agent.Look(t.Context(), "nobody"); err != nil || end == nil || end.Status == 0 {
		t.Errorf("of a session that is not known: %+v, %v", end, err)
	}
}

func TestThereIsNoCapacityInBothShapesOfTheAnswer(t *testing.T) {
	for _, shape := range []bool{false, true} {
		s, agent := cloud(t)
		s.MaxAgents, s.RateShape = 1, shape
		if _, err := agent.Start(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if _, err := agent.Start(t.Context(), job); !errors.Is(err, remote.ErrFull) {
			t.Error(err)
		}
	}
}

func TestWhatPipecatCloudsAnswerMeans(t *testing.T) {
	for phrase, c := range map[string]struct {
		fault remotetest.Fault
		want  error // nil: a doubt
	}{
		"at capacity":                     {remotetest.Fault{Status: 429, Body: `{"error":"Service maximum agent instances reached","code":"PCC-AGENT-AT-CAPACITY"}`}, remote.ErrFull},
		"at capacity with another status": {remotetest.Fault{Status: 503, Body: `{"error":"Service maximum agent instances reached","code":"PCC-AGENT-AT-CAPACITY"}`}, remote.ErrFull},
		"too many requests":               {remotetest.Fault{Status: 429, Body: `{"status":429,"code":"429","message":"Rate limit exceeded. Please try again later"}`}, remote.ErrFull},
		"not deployed yet":                {remotetest.Fault{Status: 400, Body: `{"error":"Attempt to start agent when deployment is not in ready state","code":"PCC-1001"}`}, remote.ErrRefused},
		"no public key":                   {remotetest.Fault{Status: 401, Body: `{"error":"No public key","code":"PCC-1002"}`}, remote.ErrRefused},
		"no billing":                      {remotetest.Fault{Status: 400, Body: `{"error":"Billing","code":"PCC-1004"}`}, remote.ErrRefused},
		"a bad key":                       {remotetest.Fault{Status: 401, Body: `{"error":"Unauthorized / token expired","code":"401"}`}, remote.ErrRefused},
		"no such agent":                   {remotetest.Fault{Status: 404, Body: `{"error":"Agent not found","code":"404"}`}, remote.ErrRefused},
		"too large":                       {remotetest.Fault{Status: 413}, remote.ErrRefused},
		"it fell over":                    {remotetest.Fault{Status: 500, Acts: true}, nil},
		"a proxy timed out":               {remotetest.Fault{Status: 504, Acts: true}, nil},
		"the connection breaks":           {remotetest.Fault{Drops: true, Acts: true}, nil},
		"garbage":                         {remotetest.Fault{Status: 200, Body: "<html>", Acts: true}, nil},
		"no session":                      {remotetest.Fault{Status: 200, Body: "{}", Acts: true}, nil},
	} {
		s, agent := cloud(t)
		s.Fail(c.fault)
		_, err := agent.Start(t.Context(), job)
		if certain := errors.Is(err, remote.ErrRefused) || errors.Is(err, remote.ErrFull); err == nil || certain != (c.want != nil) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", phrase, err)
		}
	}
}

// Whoever holds the wrong keys is told so, and no error shows one.
func TestKeysAreInNoError(t *testing.T) {
	_, agent := cloud(t)
	agent.Key, agent.PrivateKey = "pk_secret", "sk_secret"
	_, err := agent.Start(t.Context(), job)
	_, looked := agent.Look(t.Context(), "x")
	_, listed := agent.Alive(t.Context(), time.Time{}, time.Now())
	for _, err := range []error{err, looked, listed, agent.Stop(t.Context(), "x")} {
		if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), job.Token) {
			t.Error(err)
		}
	}
}
