// SPDX-License-Identifier: Apache-2.0

package webhooks_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/daily"
)

// FuzzDialin sends anything to the dial-in webhook: as it is, with a signature that anybody can make up, and signed by
// Daily. Only what is Daily's may lead to an event, and nothing to an answer that says that we failed.
func FuzzDialin(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"callId"`, `{"test":"test"}`, `{"Test":1}`, aCall, "{\"callId\":\"\xff\",\"callDomain\":\"d\"}",
		`{"callId":1,"callDomain":[2]}`, `{"callId":"c","callDomain":"d","sipHeaders":{"\ud800":"\u0000"}}`, `{"callId":"c\u000d\u000ad","callDomain":" "}`,
		`{"callId":"c","callDomain":"d","From":"sip:","To":"tel:+1"}`, `{"callId":"c","callDomain":"d","To":"++14155550123"}`, `{"callId":"c"}`,
	} {
		f.Add(body, "c2lnbmVk", "1790589600")
	}
	f.Add(aCall, "\x00", "NaN")
	f.Add(aCall, "=", "1e400")
	f.Add(strings.Repeat("{", 1000), "", "-1")
	whole := newWorld(f)
	f.Fuzz(func(t *testing.T, body, signature, timestamp string) {
		w := &world{Server: whole.Server, t: t, handler: whole.handler, bus: whole.bus}
		before := w.stored()
		for _, header := range []map[string]string{nil, {daily.HeaderPinlessSignature: signature, daily.HeaderPinlessTimestamp: timestamp}} {
			if status := post(w, t, body, header); status >= 500 {
				t.Errorf("unsigned: %d", status)
			}
		}
		if after := w.stored(); after != before {
			t.Fatalf("an unsigned webhook has led to an event")
		}
		status := post(w, t, body, sign(t, dialinPath, dialinSecrets[0], inSeconds(0), body))
		if status >= 500 || status == http.StatusUnauthorized {
			t.Errorf("signed: %d", status)
		}
		if after := w.stored(); after > before+1 || after > before && status != http.StatusOK {
			t.Errorf("answered %d, and %d events came", status, after-before)
		}
	})
}

func post(w *world, t *testing.T, body string, header map[string]string) int {
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, dialinPath, strings.NewReader(body))
	for k, v := range header {
		req.Header.Set(k, v)
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, req)
	return recorder.Code
}
