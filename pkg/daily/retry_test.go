// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

func TestRepeatedUntilItSucceeds(t *testing.T) {
	for phrase, first := range map[string]reply{
		"after a 429":             {status: 429},
		"after a 500":             {status: 500},
		"after a 504":             {status: 504},
		"after a lost connection": {does: hangUp},
		"after nonsense":          ok("<html>"),
		"after a time-out":        {does: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, first, first, ok(golden(t, "room.json")))
			client.Timeout = 50 * time.Millisecond
			room, err := client.GetRoom(t.Context(), "tl-abc-1")
			if err != nil || room.Name != "tl-abc-1" || len(s.requests()) != 3 {
				t.Errorf("%+v, %v after %d requests", room, err, len(s.requests()))
			}
		})
	}
}

func TestNotRepeated(t *testing.T) {
	for phrase, c := range map[string]struct {
		status int
		call   func(context.Context, *daily.Client) error
	}{
		"a refusal": {403, func(ctx context.Context, c *daily.Client) error {
			_, err := c.GetRoom(ctx, "r")
			return err
		}},
		"a create whose name we cannot know": {503, func(ctx context.Context, c *daily.Client) error {
			_, err := c.CreateRoom(ctx, daily.CreateRoom{})
			return err
		}},
		"a forward, even when rate limited": {429, func(ctx context.Context, c *daily.Client) error {
			return c.PinlessCallUpdate(ctx, "c", "d", "sip:a@b")
		}},
		"a new webhook": {503, func(ctx context.Context, c *daily.Client) error {
			_, err := c.CreateWebhook(ctx, daily.WebhookSpec{})
			return err
		}},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, reply{status: c.status})
			if err := c.call(t.Context(), client); err == nil || len(s.requests()) != 1 {
				t.Errorf("%v after %d requests", err, len(s.requests()))
			}
		})
	}
}

func TestTheEndOfPatience(t *testing.T) {
	for phrase, c := range map[string]struct {
		reply reply
		retry daily.Retry
		ctx   time.Duration
		most  int
	}{
		"time is up":               {reply{status: 500}, daily.Retry{First: time.Millisecond, Longest: time.Millisecond, Within: 30 * time.Millisecond}, time.Minute, 1000},
		"retries are off":          {reply{status: 500}, daily.Retry{Within: -1}, time.Minute, 1},
		"the context ends":         {reply{status: 500}, daily.Retry{First: time.Hour, Longest: time.Hour, Within: 10 * time.Hour}, 30 * time.Millisecond, 1},
		"Daily asks for too long":  {reply{status: 429, header: map[string]string{"Retry-After": "30"}}, daily.Retry{First: 1, Within: time.Second}, time.Minute, 1},
		"Daily asks for a date":    {reply{status: 429, header: map[string]string{"Retry-After": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, daily.Retry{First: 1, Within: time.Second}, time.Minute, 1},
		"Daily asks for years":     {reply{status: 429, header: map[string]string{"Retry-After": "999999999"}}, daily.Retry{First: 1, Within: time.Second}, time.Minute, 1},
		"Daily asks for something": {reply{status: 429, header: map[string]string{"Retry-After": "soon"}}, daily.Retry{First: time.Hour, Within: time.Millisecond}, time.Minute, 1},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, c.reply)
			client.Retry = c.retry
			ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
			defer cancel()
			start := time.Now()
			_, err := client.GetRoom(ctx, "r")
			var e *daily.Error
			if !errors.As(err, &e) || e.Status != c.reply.status {
				t.Errorf("got %v", err)
			}
			if n := len(s.requests()); n > c.most || time.Since(start) > 10*time.Second {
				t.Errorf("%d requests in %v", n, time.Since(start))
			}
		})
	}
}

func TestWaitsAsLongAsDailyAsks(t *testing.T) {
	client, _ := serve(t, reply{status: 429, header: map[string]string{"Retry-After": "1"}}, ok(golden(t, "room.json")))
	client.Retry.Within = time.Minute
	start := time.Now()
	if _, err := client.GetRoom(t.Context(), "r"); err != nil || time.Since(start) < time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestRetryAfterIsTold(t *testing.T) {
	client, _ := serve(t, reply{status: 429, header: map[string]string{"Retry-After": "7"}})
	err := client.PinlessCallUpdate(t.Context(), "c", "d", "sip:a@b")
	var e *daily.Error
	if !errors.As(err, &e) || e.RetryAfter != 7*time.Second {
		t.Errorf("got %#v", err)
	}
}

func TestDoubtOutlivesARefusal(t *testing.T) {
	client, _ := serve(t, reply{status: 504}, reply{status: 403})
	_, err := client.DeleteRooms(t.Context(), []string{"r"})
	if !errors.Is(err, daily.ErrRefused) || !daily.Doubtful(err) || daily.Retryable(err) {
		t.Errorf("got %v", err)
	}
	client, _ = serve(t, reply{status: 429}, reply{status: 403})
	if _, err = client.DeleteRooms(t.Context(), []string{"r"}); daily.Doubtful(err) {
		t.Errorf("a 429 is clear, but %v is doubtful", err)
	}
}

func TestOtherErrorsAreNeither(t *testing.T) {
	for _, err := range []error{nil, errors.New("other"), context.Canceled} {
		if daily.Doubtful(err) || daily.Retryable(err) {
			t.Errorf("%v", err)
		}
	}
}
