// SPDX-License-Identifier: Apache-2.0

// Package pod asks pods of Pipecat's base image for bots: POST /bot. The request lasts as long as the bot, and its end
// is the bot's.
package pod

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"

	"github.com/trunkline/trunkline/services/bot-scheduler/remote"
)

// Pod is a pod, or what shares requests out among several.
type Pod struct {
	URL  string
	HTTP *http.Client
}

// Start begins the request and returns when it has been sent, or could not be. That the bot has crashed the image does not
// tell: it answers 200 whenever the bot is done. Only a connection that breaks says that something went wrong.
func (p Pod) Start(ctx context.Context, j remote.Job) (remote.Bot, error) {
	sent, unsent, ended := make(chan struct{}), make(chan error, 1), make(chan remote.End, 1)
	written := sync.OnceFunc(func() { close(sent) })
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil {
			written()
		}
	}})
	header := http.Header{}
	for name, value := range map[string]string{
		"X-Daily-Session-Id": j.SessionID, "X-Daily-Room-Url": j.RoomURL, "X-Daily-Room-Token": j.Token, "X-Daily-Transport-Type": "daily",
	} {
		header.Set(name, value)
	}
	go func() {
		a, err := remote.Ask(traced, p.HTTP, http.MethodPost, p.URL+"/bot", header, j.Body)
		select {
		case <-sent:
			if end, ok := endOf(ctx, a, err); ok {
				ended <- end
			}
		default:
			unsent <- err
		}
	}()
	select {
	case <-sent:
		return remote.Bot{Ended: ended}, nil
	case err := <-unsent:
		return remote.Bot{}, fmt.Errorf("ask the pod: %w", err)
	}
}

// endOf says what the end of the request says of the bot; not ok: nothing.
func endOf(ctx context.Context, a remote.Answer, err error) (end remote.End, ok bool) {
	switch {
	case ctx.Err() != nil: // it is we who go
		return end, false
	case err != nil:
		return remote.End{Lost: true, Status: -1, Reason: "the connection to its pod broke"}, true
	case a.Status == http.StatusOK:
		return remote.End{Reason: "its pod is done with it"}, true
	case a.Clear():
		return remote.End{Status: -1, Reason: "not started: the pod answers " + a.Words()}, true
	case a.Status == http.StatusGatewayTimeout || a.Status == http.StatusRequestTimeout: // a proxy has lost patience
		return end, false
	}
	return remote.End{Lost: true, Status: -1, Reason: "its pod answers " + a.Words()}, true
}
