// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/bot-scheduler/job"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

// ask makes a bot's request to the gateway and gives the status and the error's word.
func (w *world) ask(token, path string, body any) (int, string) {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.URLs["gateway"]+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Error, Info string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil && res.StatusCode != http.StatusOK {
		w.t.Errorf("%s: %d without a JSON error: %v", path, res.StatusCode, err)
	}
	return res.StatusCode, answer.Error
}

func (w *world) refused(token, path string, body any, status int, word string) {
	w.t.Helper()
	if got, gotWord := w.ask(token, path, body); got != status || gotWord != word {
		w.t.Errorf("%s: %d %s, want %d %s", path, got, gotWord, status, word)
	}
}

// recorder is an agent whose bot writes its job into a folder and then waits.
func recorder(t *testing.T) (dir string, command []string) {
	t.Helper()
	dir = t.TempDir()
	script := `env > "$0/env" && cat > "$0/part-$1" && mv "$0/part-$1" "$0/$1" && exec sleep 600`
	return dir, []string{"/bin/sh", "-c", script, dir, "{{.CallID}}-{{.Attempt}}"}
}

// job waits for the job that the bot of an attempt was given.
func (w *world) job(dir string, phone sim.Call, attempt int) job.Job {
	w.t.Helper()
	w.expect(phone, fmt.Sprintf("BotStarted.%d", attempt))
	path := filepath.Join(dir, fmt.Sprintf("%s-%d", w.id(phone), attempt))
	for {
		data, err := os.ReadFile(path)
		if err == nil {
			var j job.Job
			if err := json.Unmarshal(data, &j); err != nil {
				w.t.Fatal(err)
			}
			return j
		}
		if w.t.Context().Err() != nil {
			w.t.Fatal(err)
		}
	}
}

// Invariant 7: no bot has a say in another call or attempt.
func TestABotHasASayInItsOwnAttemptAlone(t *testing.T) {
	dir, command := recorder(t)
	agent := bot(4)
	// Nobody is given up while the test asks, however slow the machine is.
	agent.Command, agent.ReadyTimeout = command, 10*time.Minute
	w := start(t, agent, withRoute(func(r *config.Route) { r.AnswerBudget = 10 * time.Minute }))
	mine, other := w.place(sim.CallSpec{From: caller}), w.place(sim.CallSpec{From: "+14155550124"})
	first, foreign := w.job(dir, mine, 1), w.job(dir, other, 1)
	token := first.Body.DailyAPIKey
	forward := func(j job.Job) map[string]string {
		return map[string]string{"callId": j.Body.DialinSettings.CallID, "callDomain": j.Body.DialinSettings.CallDomain, "sipUri": "sip:elsewhere@example.com"}
	}

	w.refused("", "dialin/pinlessCallUpdate", forward(first), 401, "authorization-header-error")
	w.refused("made.up.token", "dialin/pinlessCallUpdate", forward(first), 401, "authentication-error")
	w.refused(first.Token, "dialin/pinlessCallUpdate", forward(first), 401, "authentication-error") // a meeting token is none
	w.refused(token, "dialin/pinlessCallUpdate", forward(foreign), 403, "forbidden-error")
	w.refused(token, "dialin/pinlessCallUpdate", "no object", 400, "invalid-request-error")
	w.refused(token, "event", map[string]any{"seq": 1}, 400, "invalid-request-error")
	w.refused(token, "elsewhere", struct{}{}, 404, "not-found")
	if status, _ := w.ask(token, "heartbeat", struct{}{}); status != 200 {
		t.Errorf("heartbeat: %d", status)
	}
	if status, _ := w.ask(token, "claim", map[string]string{"session_id": "a"}); status != 200 {
		t.Errorf("claim: %d", status)
	}
	if status, _ := w.ask(token, "claim", map[string]string{"session_id": "a"}); status != 200 {
		t.Errorf("the same claim again: %d", status)
	}
	w.refused(token, "claim", map[string]string{"session_id": "b"}, 409, "superseded")

	// Daily refuses to forward, and the attempt is over; the next one's bot has the say.
	w.faults(sim.Fault{Match: forwardRequest, Kind: "status", Status: 400, Times: 1})
	w.refused(token, "dialin/pinlessCallUpdate", forward(first), 502, "refused")
	w.refused(token, "heartbeat", struct{}{}, 409, "superseded")
	second := w.job(dir, mine, 2)
	if status, _ := w.ask(second.Body.DailyAPIKey, "heartbeat", struct{}{}); status != 200 {
		t.Errorf("heartbeat of the next attempt's bot: %d", status)
	}
	w.refused(token, "heartbeat", struct{}{}, 409, "superseded")

	// A 404 to a bot that asks at this moment says that Daily no longer holds the caller. The attempt is over at once, and
	// the call a little later.
	w.refused(second.Body.DailyAPIKey, "dialin/pinlessCallUpdate", forward(second), 404, "not-found")
	w.expect(mine, "CallEnded")
	w.refused(second.Body.DailyAPIKey, "heartbeat", struct{}{}, 410, "ended")
	w.refused(token, "heartbeat", struct{}{}, 410, "ended")

	if status, _ := w.ask(foreign.Body.DailyAPIKey, "end", map[string]string{"reason": "done"}); status != 200 {
		t.Errorf("end: %d", status)
	}
	w.expect(other, "CallEnded")
	w.refused(foreign.Body.DailyAPIKey, "heartbeat", struct{}{}, 410, "ended")
	w.refused(foreign.Body.DailyAPIKey, "dialin/pinlessCallUpdate", forward(foreign), 410, "ended")
}

// The other half of invariant 7.
func TestNothingSecretLeavesTheServices(t *testing.T) {
	t.Setenv("DAILY_API_KEY", "an account key in the scheduler's environment")
	t.Setenv("OPENAI_API_KEY", "a key that the agent passes on")
	dir, command := recorder(t)
	agent := bot(1)
	agent.Command, agent.PassEnv, agent.Env = command, []string{"OPENAI_API_KEY"}, map[string]string{"GREETING": "hello"}
	w := start(t, agent)
	phone := w.place(sim.CallSpec{From: caller, SIPHeaders: map[string]string{"X-Account": "42"}})
	j := w.job(dir, phone, 1)
	if err := w.Sim.Hangup(phone.ID); err != nil {
		t.Fatal(err)
	}
	if s := j.Body.DialinSettings; s.From == nil || *s.From != caller || s.To != called || s.CallID != phone.ID || s.SIPHeaders["X-Account"] != "42" {
		t.Errorf("dialin_settings: %+v", s)
	}

	env, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(env), "DAILY_API_KEY") || !strings.Contains(string(env), "OPENAI_API_KEY=a key") || !strings.Contains(string(env), "GREETING=hello") {
		t.Errorf("the bot's environment:\n%s", env)
	}
	story, err := w.bus.Story(t.Context(), w.id(phone))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{
		w.Secrets.DailyAPIKey.Reveal(), w.Secrets.DailyPinlessHMAC[0].Reveal(), w.Secrets.DailyWebhookHMAC[0].Reveal(),
		w.Secrets.TrunklineSecret[0].Reveal(), j.Token, j.Body.DailyAPIKey,
	}
	for _, secret := range secrets {
		if strings.Contains(w.logs.String(), secret) {
			t.Error("a secret is in the logs")
		}
		for _, e := range story.Events {
			if text := fmt.Sprint(e.Data); strings.Contains(text, secret) {
				t.Errorf("a secret is on the bus, in %s", e.Key())
			}
		}
		for _, part := range agent.Command {
			if strings.Contains(part, secret) {
				t.Error("a secret is on a command line")
			}
		}
	}
	for _, number := range []string{caller, called} {
		if strings.Contains(w.logs.String(), number) {
			t.Error("a whole phone number is in the logs")
		}
	}
}
