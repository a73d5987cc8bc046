// SPDX-License-Identifier: Apache-2.0

package webhooks_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/ingress/webhooks"
)

const aCall = `{"To":"+14155550199","From":"+14155550123","callId":"c1","callDomain":"d1"}`

// refused is what is wrong with a webhook: what is sent instead of a genuine one, and what the answer must be.
type refused struct {
	body   string
	header func(t *testing.T, path, body string) map[string]string
	status int
	word   string
	info   string // a part of it
}

// by makes the headers of a webhook signed by one of the secrets, with the time as given.
func by(dialin, events config.Secret, at func() string) func(*testing.T, string, string) map[string]string {
	return func(t *testing.T, path, body string) map[string]string {
		if path == eventsPath {
			return sign(t, path, events, at(), body)
		}
		return sign(t, path, dialin, at(), body)
	}
}

func seconds(off time.Duration) func() string { return func() string { return inSeconds(off) } }
func millis(off time.Duration) func() string  { return func() string { return inMillis(off) } }

// genuine is how Daily signs.
var genuine = by(dialinSecrets[0], eventsSecrets[0], seconds(0))

// without leaves out a header of a genuine webhook.
func without(headers ...string) func(*testing.T, string, string) map[string]string {
	return with("", headers...)
}

// with puts something else into a header of a genuine webhook.
func with(value string, headers ...string) func(*testing.T, string, string) map[string]string {
	return func(t *testing.T, path, body string) map[string]string {
		h := genuine(t, path, body)
		for _, name := range headers {
			if _, there := h[name]; there {
				h[name] = value
			}
		}
		return h
	}
}

var (
	signatures = []string{daily.HeaderPinlessSignature, daily.HeaderWebhookSignature}
	timestamps = []string{daily.HeaderPinlessTimestamp, daily.HeaderWebhookTimestamp}
)

// notDailys is what is refused alike by both webhooks.
var notDailys = map[string]refused{
	"nothing of a signature":              {aCall, without(append(signatures, timestamps...)...), 401, "bad-signature", "not signed"},
	"a time without a signature":          {aCall, without(signatures...), 401, "bad-signature", "not signed"},
	"a signature without a time":          {aCall, without(timestamps...), 401, "bad-signature", "not signed"},
	"a signature of something else":       {aCall, with("bm90IGEgc2lnbmF0dXJl", signatures...), 401, "bad-signature", "not Daily's"},
	"a signature that is no base64":       {aCall, with("no base64 at all", signatures...), 401, "bad-signature", "not Daily's"},
	"a time that is not the one signed":   {aCall, with(inSeconds(time.Minute), timestamps...), 401, "bad-signature", "not Daily's"},
	"a time that is no number":            {aCall, with("yesterday", timestamps...), 401, "bad-signature", "not Daily's"},
	"an unknown secret":                   {aCall, by(secret("guessed"), secret("guessed"), seconds(0)), 401, "bad-signature", "not Daily's"},
	"the other webhook's secret":          {aCall, by(eventsSecrets[0], dialinSecrets[0], seconds(0)), 401, "bad-signature", "not Daily's"},
	"older than five minutes":             {aCall, by(dialinSecrets[0], eventsSecrets[0], seconds(-6*time.Minute)), 401, "bad-signature", "behind"},
	"older than five minutes, in ms":      {aCall, by(dialinSecrets[0], eventsSecrets[0], millis(-6*time.Minute)), 401, "bad-signature", "behind"},
	"from five minutes ahead":             {aCall, by(dialinSecrets[0], eventsSecrets[0], seconds(6*time.Minute)), 401, "bad-signature", "ahead"},
	"from five minutes ahead, in ms":      {aCall, by(dialinSecrets[0], eventsSecrets[0], millis(6*time.Minute)), 401, "bad-signature", "ahead"},
	"no JSON, and not signed":             {"callId=c1&callDomain=d1", without(signatures...), 401, "bad-signature", "not signed"},
	"larger than 64 KiB":                  {large(64<<10 + 1), genuine, 413, "too-large", "larger"},
	"larger than 64 KiB, and not signed":  {large(64<<10 + 1), without(signatures...), 413, "too-large", "larger"},
	"much larger than 64 KiB":             {large(1 << 20), genuine, 413, "too-large", "larger"},
	"no JSON, though signed":              {"callId=c1&callDomain=d1", genuine, 400, "malformed", "not a JSON object"},
	"nothing, though signed":              {"", genuine, 400, "malformed", "not a JSON object"},
	"a list, though signed":               {"[" + aCall + "]", genuine, 400, "malformed", "not a JSON object"},
	"null, though signed":                 {"null", genuine, 400, "malformed", "not a JSON object"},
	"cut short, though signed":            {aCall[:len(aCall)-1], genuine, 400, "malformed", "not a JSON object"},
	"with something after it, and signed": {aCall + "{}", genuine, 400, "malformed", "not a JSON object"},
}

func large(n int) string { return strings.Repeat(" ", n-len(aCall)) + aCall }

func TestARefusedWebhookChangesNothing(t *testing.T) {
	w := newWorld(t)
	rows := map[string]map[string]refused{dialinPath: {
		"no call id":           {`{"To":"+14155550199","From":"+14155550123","callDomain":"d1"}`, genuine, 400, "malformed", "callId is missing"},
		"an empty call id":     {`{"callId":"","callDomain":"d1"}`, genuine, 400, "malformed", "callId is missing"},
		"no call domain":       {`{"To":"+14155550199","From":"+14155550123","callId":"c1"}`, genuine, 400, "malformed", "callDomain is missing"},
		"null for call domain": {`{"callId":"c1","callDomain":null}`, genuine, 400, "malformed", "callDomain is missing"},
		"no call id, unsigned": {`{"callDomain":"d1"}`, without(signatures...), 401, "bad-signature", "not signed"},
	}, eventsPath: {
		"no type": {`{"id":"e1","payload":{}}`, genuine, 400, "malformed", "no type"},
	}}
	for path, more := range rows {
		for _, table := range []map[string]refused{notDailys, more} {
			for phrase, c := range table {
				t.Run(strings.TrimPrefix(path, "/")+"/"+phrase, func(t *testing.T) {
					got := w.send(path, c.body, c.header(t, path, c.body))
					word, info := got.refusal(t)
					if got.status != c.status || word != c.word || !strings.Contains(info, c.info) {
						t.Errorf("%d %s, want %d, %s and %q", got.status, got.body, c.status, c.word, c.info)
					}
					if n := w.stored(); n != 0 {
						t.Fatalf("the stream holds %d messages", n)
					}
				})
			}
		}
	}
}

func TestOnlyPostsAreTaken(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{dialinPath, "/start", eventsPath} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			req, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, strings.NewReader(aCall))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range genuine(t, path, aCall) {
				req.Header.Set(k, v)
			}
			got := w.do(req)
			if word, info := got.refusal(t); got.status != http.StatusMethodNotAllowed || word != "method-not-allowed" || !strings.Contains(info, "POST") {
				t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
			}
		}
	}
	got := w.sendSigned("/elsewhere", aCall)
	if word, _ := got.refusal(t); got.status != http.StatusNotFound || word != "not-found" {
		t.Errorf("an unknown path: %d %s", got.status, got.body)
	}
	if n := w.stored(); n != 0 {
		t.Errorf("the stream holds %d messages", n)
	}
}

func TestWithoutASecretNothingIsTaken(t *testing.T) {
	w := newWorld(t, func(env *app.Env) { env.Secrets.DailyWebhookHMAC = nil })
	for phrase, header := range map[string]map[string]string{
		"unsigned":                    nil,
		"signed by some secret":       sign(t, eventsPath, eventsSecrets[0], inSeconds(0), aCall),
		"signed by the dial-in's":     sign(t, eventsPath, dialinSecrets[0], inSeconds(0), aCall),
		"a signature that is a space": {daily.HeaderWebhookSignature: " ", daily.HeaderWebhookTimestamp: inSeconds(0)},
	} {
		if got := w.send(eventsPath, `{"type":"dialin.ready","payload":{}}`, header); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", phrase, got.status, got.body)
		}
	}
	if n := w.stored(); n != 0 {
		t.Errorf("the stream holds %d messages", n)
	}
}

func TestIngressDoesNotStartWithoutTheSecretsItNeeds(t *testing.T) {
	for phrase, c := range map[string]struct {
		url     string
		secrets config.Secrets
		missing string
	}{
		"no secret at all":                       {"", config.Secrets{}, "DAILY_PINLESS_HMAC is not set"},
		"none for the webhook that it registers": {"https://calls.example.com", config.Secrets{DailyPinlessHMAC: dialinSecrets}, "DAILY_WEBHOOK_HMAC is not set"},
		"none for the dial-in webhook":           {"https://calls.example.com", config.Secrets{DailyWebhookHMAC: eventsSecrets}, "DAILY_PINLESS_HMAC is not set"},
	} {
		env := &app.Env{Config: config.Default(), Secrets: c.secrets, Log: app.NewLog(new(lines), config.Log{}), Registry: prometheus.NewRegistry()}
		env.Config.PublicURL = c.url
		if _, err := webhooks.New(env); err == nil || !strings.Contains(err.Error(), c.missing) {
			t.Errorf("%s: %v, want %q", phrase, err, c.missing)
		}
	}
}
