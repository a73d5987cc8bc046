// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxReply = 16 << 20 // presence of a whole domain is the largest
	maxInfo  = 500      // characters of "info" kept in an error
)

// checker is a reply that knows whether it says what it must.
type checker interface{ check() error }

// attempt sends a request once and decodes the reply into out. An error that another attempt could mend is an *Error.
func (c *Client) attempt(ctx context.Context, r request, body []byte, out any) error {
	unsent := func(err error) error { return &Error{Op: r.op, cause: err, unsent: true} }

	if err := ctx.Err(); err != nil {
		return unsent(err)
	}
	if c.Budget != nil {
		if err := c.Budget.Take(ctx, r.class); err != nil {
			return unsent(fmt.Errorf("budget: %w", err))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Timeout, defaultTimeout))
	defer cancel()
	// A transport that was asked for a connection and got none has sent nothing.
	var asked, connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, r.method, c.url(r), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("daily: %s: %w", r.op, bare(err))
	}
	req.Header.Set("Authorization", "Bearer "+c.APIKey)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "trunkline")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}

	start := time.Now()
	status, header, reply, err := exchange(c.http(), req)
	if c.Observe != nil {
		c.Observe(r.class, r.op, status, time.Since(start))
	}
	switch {
	case err != nil && status == 0:
		return &Error{Op: r.op, cause: bare(err), unsent: asked.Load() && !connected.Load()}
	case status < 200 || status > 299:
		return c.refusal(r.op, status, header, reply)
	case err == nil:
		err = decode(reply, out)
	}
	if err != nil {
		return &Error{Op: r.op, Status: status, cause: err}
	}
	return nil
}

// exchange sends and reads. The status is 0 until there is a reply.
func exchange(client *http.Client, req *http.Request) (status int, header http.Header, body []byte, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err == nil && len(body) > maxReply {
		err = fmt.Errorf("more than %d bytes", maxReply)
	}
	return resp.StatusCode, resp.Header, body, err
}

// statusOnly is a reply whose body is not documented and is not looked at.
type statusOnly struct{}

func decode(reply []byte, out any) error {
	if _, ok := out.(*statusOnly); ok {
		return nil
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return err
	}
	if c, ok := out.(checker); ok {
		return c.check()
	}
	return nil
}

func (c *Client) refusal(op string, status int, header http.Header, reply []byte) *Error {
	e := &Error{Op: op, Status: status, RetryAfter: retryAfter(header.Get("Retry-After"))}
	if f, err := parseFields(reply); err == nil {
		e.Code, e.Info = c.clean(f.text("error")), c.clean(f.text("info"))
	}
	return e
}

// clean keeps a text short, and what nobody may read out of it.
func (c *Client) clean(s string) string {
	if c.APIKey != "" {
		s = strings.ReplaceAll(s, c.APIKey, "[key]")
	}
	if c.Mask != nil {
		s = c.Mask(s)
	}
	if runes := []rune(s); len(runes) > maxInfo {
		s = string(runes[:maxInfo]) + "..."
	}
	return s
}

// bare takes the URL off an error of net/http; the operation says it better.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// retryAfter reads a header that Daily does not document and a proxy may send: seconds, or a date.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return time.Duration(min(max(n, 0), 3600)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
