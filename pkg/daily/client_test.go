// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

// What each outcome of a request that is sent once, the forward, is called.
func TestOutcomes(t *testing.T) {
	type is struct{ notFound, refused, limited, doubtful, retryable bool }
	refused, unclear := is{refused: true}, is{doubtful: true, retryable: true}

	for phrase, c := range map[string]struct {
		reply reply
		want  is
		text  string
	}{
		"a bad request":               {reply{status: 400, body: `{"error":"invalid-request-error","info":"no sipUri"}`}, refused, "daily: forward call: 400 invalid-request-error: no sipUri"},
		"a wrong key":                 {reply{status: 401, body: `{"error":"authentication-error"}`}, refused, "daily: forward call: 401 authentication-error"},
		"forbidden":                   {reply{status: 403}, refused, "daily: forward call: 403"},
		"unprocessable":               {reply{status: 422, body: `{"errors":[]}`}, refused, "422"},
		"not found":                   {reply{status: 404, body: `{"error":"not-found"}`}, is{notFound: true}, "404 not-found"},
		"too many":                    {reply{status: 429, body: `{"error":"rate-limit-error"}`}, is{limited: true, retryable: true}, "429 rate-limit-error"},
		"a server error":              {reply{status: 500, body: `{"error":"server-error"}`}, unclear, "500 server-error"},
		"a bad gateway":               {reply{status: 502, body: "<html>"}, unclear, "502"},
		"a time-out of a proxy":       {reply{status: 408}, unclear, "408"},
		"a redirect":                  {reply{status: 302, header: map[string]string{"Location": "/v1/elsewhere"}}, unclear, "302"},
		"a broken connection":         {reply{does: hangUp}, unclear, "no reply: EOF"},
		"a success that is no JSON":   {ok("hello"), unclear, "200 with an unreadable body"},
		"a success that is cut short": {reply{does: cutShort}, unclear, "unreadable body: unexpected EOF"},
		"a success that says no":      {ok(`{"ok":false}`), unclear, `unreadable body: no "ok"`},
		"a success that says nothing": {ok(`{}`), unclear, `unreadable body: no "ok"`},
		"a success without end":       {reply{does: endless}, unclear, "more than 16777216 bytes"},
		"the key in an error":         {reply{status: 400, body: `{"error":"x","info":"key ` + apiKey + ` is bad"}`}, refused, "key [key] is bad"},
		"an endless explanation":      {reply{status: 400, body: `{"info":"` + strings.Repeat("a", 5000) + `"}`}, refused, "aaa..."},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, c.reply)
			err := client.PinlessCallUpdate(t.Context(), "call", "domain", "sip:a@b")
			got := is{
				errors.Is(err, daily.ErrNotFound), errors.Is(err, daily.ErrRefused), errors.Is(err, daily.ErrRateLimited),
				daily.Doubtful(err), daily.Retryable(err),
			}
			if got != c.want || err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%+v, want %+v: %.200v", got, c.want, err)
			}
			if err != nil && (strings.Contains(err.Error(), apiKey) || len(err.Error()) > 1000) {
				t.Errorf("error tells too much: %v", err)
			}
			if n := len(s.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func cutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"ok":true`)
}

func endless(w http.ResponseWriter, _ *http.Request) {
	chunk := []byte(strings.Repeat(" ", 1<<16))
	for range 300 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestNoReplyInTimeIsDoubtful(t *testing.T) {
	client, _ := serve(t, reply{does: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	client.Timeout = 20 * time.Millisecond
	err := client.PinlessCallUpdate(t.Context(), "call", "domain", "sip:a@b")
	if !errors.Is(err, context.DeadlineExceeded) || !daily.Doubtful(err) || !daily.Retryable(err) {
		t.Errorf("got %v", err)
	}
}

func TestWhatWasNotSentIsNotDoubtful(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for phrase, c := range map[string]struct {
		ctx   context.Context
		spoil func(*daily.Client)
	}{
		"connection refused":  {t.Context(), func(c *daily.Client) { c.BaseURL = refusing(t) }},
		"no such host":        {t.Context(), func(c *daily.Client) { c.BaseURL = "http://nowhere.invalid" }},
		"not TLS":             {t.Context(), func(c *daily.Client) { c.BaseURL = strings.Replace(c.BaseURL, "http:", "https:", 1) }},
		"context over before": {over, func(*daily.Client) {}},
		"budget exhausted":    {t.Context(), func(c *daily.Client) { c.Budget = &budget{err: errors.New("none left")} }},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, ok(`{"ok":true}`))
			c.spoil(client)
			err := client.PinlessCallUpdate(c.ctx, "call", "domain", "sip:a@b")
			if err == nil || daily.Doubtful(err) || !daily.Retryable(err) || errors.Is(err, daily.ErrRefused) {
				t.Errorf("got %v", err)
			}
			if n := len(s.requests()); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func refusing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestMisconfigured(t *testing.T) {
	for phrase, spoil := range map[string]func(*daily.Client){
		"no key":                 func(c *daily.Client) { c.APIKey = "" },
		"a key with a line feed": func(c *daily.Client) { c.APIKey += "\n" },
		"a URL without a scheme": func(c *daily.Client) { c.BaseURL = "api.daily.co/v1" },
		"a URL of another kind":  func(c *daily.Client) { c.BaseURL = "ftp://api.daily.co/v1" },
		"not a URL":              func(c *daily.Client) { c.BaseURL = "http://[" },
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, ok(`{"ok":true}`))
			spoil(client)
			_, err := client.GetRoom(t.Context(), "room")
			if !errors.Is(err, daily.ErrRefused) || daily.Doubtful(err) || daily.Retryable(err) || len(s.requests()) != 0 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// budget grants everything, or nothing, and notes the classes.
type budget struct {
	mu    sync.Mutex
	taken []daily.Class
	err   error
}

func (b *budget) Take(_ context.Context, c daily.Class) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = append(b.taken, c)
	return b.err
}

func TestEveryAttemptTakesBudgetAndIsObserved(t *testing.T) {
	client, _ := serve(t, reply{status: 503}, reply{does: hangUp}, reply{status: 400}, ok(golden(t, "room.json")))
	b := &budget{}
	var observed []string
	client.Budget = b
	client.Observe = func(c daily.Class, op string, status int, took time.Duration) {
		if took <= 0 {
			t.Errorf("%s took %v", op, took)
		}
		observed = append(observed, fmt.Sprint(c, " ", op, " ", status))
	}
	if _, _, err := client.EnsureRoom(t.Context(), daily.CreateRoom{Name: "tl-abc-1"}); err != nil {
		t.Fatal(err)
	}
	want := "[room create room 503 room create room 0 room create room 400 room get room 200]"
	if got := fmt.Sprint(observed); got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
	if got := fmt.Sprint(b.taken); got != "[room room room room]" {
		t.Errorf("taken %s", got)
	}
}

func TestClasses(t *testing.T) {
	room := golden(t, "room.json")
	hook := golden(t, "webhook.json")
	for _, c := range []struct {
		op    string
		reply string
		want  daily.Class
		call  func(context.Context, *daily.Client) error
	}{
		{"forward", `{"ok":true}`, daily.ClassForward, func(ctx context.Context, c *daily.Client) error {
			return c.PinlessCallUpdate(ctx, "c", "d", "sip:a@b")
		}},
		{"dial out", `{"ok":true,"sessionId":"s"}`, daily.ClassDial, func(ctx context.Context, c *daily.Client) error {
			_, err := c.StartDialOut(ctx, "r", daily.DialOut{PhoneNumber: "+15550101"})
			return err
		}},
		{"stop dial-out", ``, daily.ClassControl, func(ctx context.Context, c *daily.Client) error {
			return c.StopDialOut(ctx, "r", "s")
		}},
		{"create", room, daily.ClassRoom, func(ctx context.Context, c *daily.Client) error {
			_, err := c.CreateRoom(ctx, daily.CreateRoom{})
			return err
		}},
		{"list", `{"data":[]}`, daily.ClassJanitor, func(ctx context.Context, c *daily.Client) error {
			for _, err := range c.ListRooms(ctx) {
				return err
			}
			return nil
		}},
		{"presence", `{}`, daily.ClassJanitor, func(ctx context.Context, c *daily.Client) error {
			_, err := c.Presence(ctx)
			return err
		}},
		{"room presence", `{}`, daily.ClassJanitor, func(ctx context.Context, c *daily.Client) error {
			_, err := c.RoomPresence(ctx, "r")
			return err
		}},
		{"eject", `{}`, daily.ClassControl, func(ctx context.Context, c *daily.Client) error {
			_, err := c.Eject(ctx, "r", []string{"x"}, nil, false)
			return err
		}},
		{"delete", `{}`, daily.ClassDelete, func(ctx context.Context, c *daily.Client) error {
			_, err := c.DeleteRooms(ctx, []string{"r"})
			return err
		}},
		{"update webhook", hook, daily.ClassControl, func(ctx context.Context, c *daily.Client) error {
			_, err := c.UpdateWebhook(ctx, "u", daily.WebhookSpec{})
			return err
		}},
	} {
		t.Run(c.op, func(t *testing.T) {
			client, _ := serve(t, ok(c.reply))
			b := &budget{}
			client.Budget = b
			if err := c.call(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if len(b.taken) != 1 || b.taken[0] != c.want {
				t.Errorf("took %v, want %v", b.taken, c.want)
			}
		})
	}
}
