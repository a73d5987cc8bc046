// SPDX-License-Identifier: Apache-2.0

package pod_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/trunkline/trunkline/services/bot-scheduler/pod"
	"github.com/trunkline/trunkline/services/bot-scheduler/pod/podtest"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
	"github.com/trunkline/trunkline/services/bot-scheduler/remote/remotetest"
)

var job = remote.Job{SessionID: "abc-1", RoomURL: "https://example.daily.co/tl-abc-1", Token: "meeting", Body: json.RawMessage(`{"daily_api_key":"k"}`)}

func TestTheEndOfTheRequestIsTheEndOfTheBot(t *testing.T) {
	s := podtest.Start(t)
	finish := make(chan int)
	s.Run = func(context.Context, remote.Job) int { return <-finish }
	for status, want := range map[int]remote.End{
		0: {Reason: "its pod is done with it"},
		1: {Status: -1, Lost: true, Reason: "the connection to its pod broke"},
	} {
		bot, err := pod.Pod{URL: s.URL, HTTP: remote.Client()}.Start(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case end := <-bot.Ended:
			t.Errorf("ended before it has: %+v", end)
		default:
		}
		finish <- status
		if end := <-bot.Ended; end != want {
			t.Errorf("status %d: %+v", status, end)
		}
	}
	for _, got := range s.Started() { // as the base image takes it: the room in the headers
		if !reflect.DeepEqual(got, job) {
			t.Errorf("started %+v", got)
		}
	}
}

func TestWhatAPodsAnswerMeans(t *testing.T) {
	for phrase, c := range map[string]struct {
		fault remotetest.Fault
		lost  bool
	}{
		"no such path":                 {remotetest.Fault{Status: 404, Body: `{"detail":"Not Found"}`}, false},
		"a body that is not wanted":    {remotetest.Fault{Status: 422, Body: `{"detail":[]}`}, false},
		"it fell over":                 {remotetest.Fault{Status: 500, Body: "Internal Server Error"}, true},
		"what shares out has nobody":   {remotetest.Fault{Status: 503}, true},
		"the connection breaks":        {remotetest.Fault{Drops: true}, true},
		"it breaks when the bot lives": {remotetest.Fault{Drops: true, Acts: true}, true},
	} {
		s := podtest.Start(t)
		s.Run = func(ctx context.Context, _ remote.Job) int { <-ctx.Done(); return 0 }
		s.Fail(c.fault)
		bot, err := pod.Pod{URL: s.URL, HTTP: remote.Client()}.Start(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		if end := <-bot.Ended; end.Lost != c.lost || end.Status != -1 {
			t.Errorf("%s: %+v", phrase, end)
		}
	}
	s := podtest.Start(t)
	s.Close()
	if _, err := (pod.Pod{URL: s.URL, HTTP: remote.Client()}).Start(t.Context(), job); !errors.Is(err, remote.ErrRefused) {
		t.Errorf("nobody there: %v", err)
	}
}
