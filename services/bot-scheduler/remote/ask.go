// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"

	"github.com/trunkline/trunkline/pkg/phone"
)

const (
	maxAnswer = 1 << 20 // bytes
	maxWords  = 200     // bytes of an answer's own words that are passed on
)

// Client makes a client that follows no redirect: it would turn a POST into a GET.
func Client() *http.Client {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = 64
		c.Transport = t
	}
	return c
}

// Answer is what a place has answered.
type Answer struct {
	Status int
	Body   []byte
}

// Ask sends a request with JSON, or none where body is nil. An error that is ErrRefused says that nothing was sent.
func Ask(ctx context.Context, c *http.Client, method, url string, header http.Header, body any) (Answer, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return Answer{}, fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(data))
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(req)
	if err != nil && !connected {
		return Answer{}, fmt.Errorf("%w, nothing was sent: %w", ErrRefused, err)
	}
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	a := Answer{Status: res.StatusCode}
	a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return a, err
}

// Clear reports whether the place has clearly done nothing: a refusal of its own, and no proxy's time-out.
func (a Answer) Clear() bool {
	return a.Status >= 400 && a.Status < 500 && a.Status != http.StatusRequestTimeout
}

// Words are the status and what the answer says of it, in the words of those who write APIs for Pipecat. Nothing else of
// it is passed on: an answer may quote what was asked, and that holds tokens.
func (a Answer) Words() string {
	var said struct {
		Detail, Error, Message any
		Code                   any
	}
	text := fmt.Sprint(a.Status)
	if json.Unmarshal(a.Body, &said) != nil {
		return text
	}
	word := func(v any) string {
		s, _ := v.(string)
		return s[:min(len(s), maxWords)]
	}
	if code := word(said.Code); code != "" && code != text {
		text += " " + code
	}
	if info := cmp.Or(word(said.Error), word(said.Detail), word(said.Message)); info != "" {
		text += ": " + phone.MaskForeign(info)
	}
	return text
}
