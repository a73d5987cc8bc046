// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultBaseURL is where Daily's REST API is.
const DefaultBaseURL = "https://api.daily.co/v1"

const defaultTimeout = 10 * time.Second

// Client makes requests to Daily's REST API. Only the key is needed. It is safe for use by many goroutines; its fields
// must not be changed while it is used. The key is in no error.
type Client struct {
	BaseURL string // "" = DefaultBaseURL
	APIKey  string
	HTTP    *http.Client  // nil = one of its own; redirects are never followed
	Timeout time.Duration // of one attempt; 0 = 10 seconds
	Retry   Retry
	Budget  Budget // nil = no limit

	// Mask hides what must not be read in the texts that Daily answers with, which are in errors; nil = nothing.
	Mask func(text string) string

	// Observe is told of every attempt that went out: how long it took, without the wait for the budget, and the status
	// of the reply, 0 if there was none. It may be nil.
	Observe func(class Class, op string, status int, took time.Duration)
}

// request is one request, which may take several attempts.
type request struct {
	op     string
	class  Class
	method string
	path   string // escaped, with a leading slash
	query  url.Values
	body   any // nil = none

	// repeatable: a second time does no harm, so an attempt that failed or came to no clear end is made again.
	repeatable bool
}

// call makes a request and decodes the reply into a T that is new for each attempt.
func call[T any](ctx context.Context, c *Client, r request) (T, error) {
	var (
		out  T
		body []byte
	)
	if err := c.check(); err != nil {
		return out, fmt.Errorf("%w: %s: %w", ErrRefused, r.op, err)
	}
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return out, fmt.Errorf("daily: %s: %w", r.op, err)
		}
	}
	err := c.Retry.run(ctx, r.repeatable, func() error {
		var reply T
		if err := c.attempt(ctx, r, body, &reply); err != nil {
			return err
		}
		out = reply
		return nil
	})
	return out, err
}

// check refuses what net/http would refuse with an error that looks like a lost request.
func (c *Client) check() error {
	if c.APIKey == "" || strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the API key is empty or holds white space")
	}
	u, err := url.Parse(c.base())
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("the base URL is not an http URL")
	}
	return nil
}

func (c *Client) base() string { return strings.TrimRight(cmp.Or(c.BaseURL, DefaultBaseURL), "/") }

func (c *Client) url(r request) string {
	u := c.base() + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	return u
}

// http is a copy that follows no redirect: it would turn a POST into a GET and take the answer for the POST's.
func (c *Client) http() *http.Client {
	var client http.Client
	if c.HTTP != nil {
		client = *c.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
