// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus/bustest"
)

// post tells a process something, as a page in a browser would where there is an origin.
func (p *process) post(t *testing.T, path, origin string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.admin+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// A process that is told to drain finishes its work and ends; what else runs in it goes on until then.
func TestAProcessThatIsToldToDrainEndsWhenItsWorkIsDone(t *testing.T) {
	server := bustest.Start(t)
	server.Setup()
	told, finish := make(chan time.Duration, 1), make(chan struct{})
	draining := app.Service{Name: "draining", Drains: true, Serve: func(ctx context.Context, env *app.Env) error {
		env.Ready.Yes()
		select {
		case <-env.Drain.Asked():
			told <- env.Drain.Within()
			<-finish
		case <-ctx.Done():
		}
		return nil
	}}
	other, started := idle("other")
	p := run(t, server.ClientURL(), nil, draining, other)
	<-started
	if status := p.post(t, "/drain", "https://example.com"); status != 403 {
		t.Errorf("from a page in a browser: %d", status)
	}
	if status := p.post(t, "/drain?within=soon", ""); status != 400 {
		t.Errorf("a wrong time: %d", status)
	}
	if status := p.post(t, "/drain?within=30m", ""); status != 200 {
		t.Fatalf("drain: %d", status)
	}
	if within := <-told; within != 30*time.Minute {
		t.Errorf("within %s", within)
	}
	if status, _ := p.get(p.admin + "/healthz"); status != 200 {
		t.Errorf("while it drains it answers %d", status)
	}
	close(finish)
	<-p.done
	if p.err != nil {
		t.Error(p.err)
	}
}

func TestAProcessWithoutWorkToFinishCannotBeDrained(t *testing.T) {
	server := bustest.Start(t)
	server.Setup()
	other, started := idle("other")
	p := run(t, server.ClientURL(), nil, other)
	<-started
	if status := p.post(t, "/drain", ""); status != 404 {
		t.Errorf("drain: %d", status)
	}
}
