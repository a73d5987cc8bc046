// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/trunkline/trunkline/pkg/daily"
)

func seeds(f *testing.F, folder string) {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{"", "null", "{}", `{"a":{"b":[1,"\ud800"]}}`, "{\"callId\":{\"a\":\"\xff\"},\"callDomain\":1e999}"} {
		f.Add([]byte(s))
	}
}

// What is parsed can go on the bus: protobuf strings must be UTF-8, and times must be ones that can be written.
func FuzzParseEvent(f *testing.F) {
	seeds(f, "events")
	f.Add([]byte(`{"type":"participant.left","payload":{"joined_at":100000000000,"duration":31535999}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := daily.ParseEvent(body)
		if err != nil {
			return
		}
		if e.Test == (e.Type != "") {
			t.Errorf("neither event nor test: %+v", e)
		}
		for _, s := range []string{
			e.ID, e.Type, e.Room, e.SessionID, e.UserID, e.ErrorMsg, e.Cause, e.Destination, e.Origin, e.CallerID, e.Provider, e.SIPCallID,
		} {
			if !utf8.ValidString(s) {
				t.Errorf("not UTF-8: %q", s)
			}
		}
		if _, err := json.Marshal(e); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseDialin(f *testing.F) {
	seeds(f, "dialin")
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := daily.ParseDialin(body)
		if err != nil {
			return
		}
		if !d.Test && (d.CallID == "" || d.CallDomain == "") {
			t.Errorf("a call without a name: %+v", d)
		}
		all := []string{d.To, d.From, d.CallID, d.CallDomain}
		for k, v := range d.SIPHeaders {
			all = append(all, k, v)
		}
		for _, s := range all {
			if !utf8.ValidString(s) {
				t.Errorf("not UTF-8: %q", s)
			}
		}
	})
}

// Nothing passes but what the secret has signed, as it came or without its white space.
func FuzzVerify(f *testing.F) {
	f.Add(signedSeconds, "1790589600", []byte(body))
	f.Add(signedMillis, "1790589600123", []byte(body))
	f.Add(signedSeconds, "1790589600", []byte(" "+body))
	f.Add("", "", []byte(nil))
	f.Add("====", "1e400", []byte("{"))
	v := daily.Verifier{Secrets: []string{secret}, Now: func() time.Time { return time.Unix(1790589600, 0) }}
	f.Fuzz(func(t *testing.T, signature, timestamp string, body []byte) {
		if v.Verify(signature, timestamp, body) != nil {
			return
		}
		for _, candidate := range [][]byte{body, compacted(body)} {
			if s, err := daily.Sign(secret, timestamp, candidate); err == nil && s == signature {
				return
			}
		}
		t.Errorf("accepted %q at %q over %q", signature, timestamp, body)
	})
}

func compacted(b []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return nil
	}
	return out.Bytes()
}
