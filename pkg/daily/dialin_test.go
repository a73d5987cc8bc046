// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/daily"
)

func TestParseDialin(t *testing.T) {
	for file, want := range map[string]daily.Dialin{
		"phone": {
			To: "+15550199", From: "+15550100",
			CallID: "a3f1c9d0-0000-4000-8000-000000000001", CallDomain: "b7e2d8c1-0000-4000-8000-000000000002",
		},
		"anonymous": {To: "+15550199", CallID: "call", CallDomain: "domain"},
		"interconnect": {
			To: "sip:static-0@example.sip.daily.co", From: "alice", CallID: "call", CallDomain: "domain",
			SIPHeaders: map[string]string{"X-Tenant": "acme", "X-Priority": "3", "X-Tags": `["a","b"]`, "X-Null": ""},
		},
		"ping_upper": {Test: true},
		"ping_lower": {Test: true},
		"ping_old":   {To: "+15550199", Test: true},
	} {
		t.Run(file, func(t *testing.T) {
			got, err := daily.ParseDialin([]byte(golden(t, "dialin/"+file+".json")))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestDialinRefused(t *testing.T) {
	for phrase, c := range map[string]struct {
		body, text string
		notJSON    bool
	}{
		"empty":              {``, "not a JSON object", true},
		"null":               {`null`, "not a JSON object", true},
		"a list":             {`[{"callId":"c"}]`, "not a JSON object", true},
		"a form":             {`callId=c&callDomain=d`, "not a JSON object", true},
		"two objects":        {`{"callId":"c"}{}`, "not a JSON object", true},
		"no call domain":     {golden(t, "dialin/half.json"), "callDomain is missing", false},
		"no call id":         {`{"callDomain":"d"}`, "callId is missing", false},
		"an empty call id":   {`{"callId":"","callDomain":"d"}`, "callId is missing", false},
		"call domain a null": {`{"callId":"c","callDomain":null}`, "callDomain is missing", false},
	} {
		t.Run(phrase, func(t *testing.T) {
			_, err := daily.ParseDialin([]byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.text) || errors.Is(err, daily.ErrNotJSON) != c.notJSON {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSIPHeadersOfAnotherKind(t *testing.T) {
	for _, headers := range []string{`null`, `{}`, `"X-A: b"`, `[]`} {
		got, err := daily.ParseDialin([]byte(`{"callId":"c","callDomain":"d","sipHeaders":` + headers + `}`))
		if err != nil || got.SIPHeaders != nil {
			t.Errorf("%s: %+v, %v", headers, got, err)
		}
	}
}
