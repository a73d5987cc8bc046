// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/daily"
)

func TestStartDialOut(t *testing.T) {
	for phrase, c := range map[string]struct {
		ask  daily.DialOut
		sent string
	}{
		"a number": {daily.DialOut{PhoneNumber: "+15550101"}, `{"phoneNumber":"+15550101"}`},
		"a number with all that goes with it": {
			daily.DialOut{
				PhoneNumber: "+15550101", Extension: "12#", WaitBeforeExtension: 3, DisplayName: "Ann", UserID: "callee",
				CallerID: "c0ffee", Codecs: &daily.Codecs{Audio: []string{"PCMU"}},
			},
			`{"phoneNumber":"+15550101","extension":"12#","waitBeforeExtensionDialSec":3,"displayName":"Ann","userId":"callee",
			  "callerId":"c0ffee","codecs":{"audio":["PCMU"]}}`,
		},
		"a SIP address": {
			daily.DialOut{SIPURI: "sip:a@b?X-Tenant=acme", Video: true},
			`{"sipUri":"sip:a@b?X-Tenant=acme","video":true}`,
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, ok(`{"ok":true,"sessionId":"leg-1"}`))
			session, err := client.StartDialOut(t.Context(), "tl-abc-1", c.ask)
			if err != nil || session != "leg-1" {
				t.Fatalf("%q, %v", session, err)
			}
			got := s.requests()[0]
			if got.method != "POST" || got.path != "/v1/rooms/tl-abc-1/dialOut/start" || !sameJSON(t, []byte(got.body), []byte(c.sent)) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Somebody who may have been called is not called again.
func TestDialOutIsSentOnceAndTellsWhatIsClear(t *testing.T) {
	type is struct{ notFound, refused, limited, doubtful bool }
	for phrase, c := range map[string]struct {
		reply reply
		want  is
	}{
		"nobody in the room":        {reply{status: 404, body: `{"error":"not-found"}`}, is{notFound: true}},
		"not enabled":               {reply{status: 400, body: `{"error":"invalid-request-error"}`}, is{refused: true}},
		"too many":                  {reply{status: 429}, is{limited: true}},
		"a server error":            {reply{status: 500}, is{doubtful: true}},
		"a broken connection":       {reply{does: hangUp}, is{doubtful: true}},
		"a success without the leg": {ok(`{"ok":true}`), is{doubtful: true}},
		"a success that says no":    {ok(`{"ok":false,"sessionId":"s"}`), is{doubtful: true}},
		"a success that is no JSON": {ok(`hello`), is{doubtful: true}},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, c.reply)
			session, err := client.StartDialOut(t.Context(), "r", daily.DialOut{PhoneNumber: "+15550101"})
			got := is{errors.Is(err, daily.ErrNotFound), errors.Is(err, daily.ErrRefused), errors.Is(err, daily.ErrRateLimited), daily.Doubtful(err)}
			if got != c.want || err == nil || session != "" {
				t.Errorf("%+v, want %+v: %q, %v", got, c.want, session, err)
			}
			if n := len(s.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestDialOutThatCannotBeIsNotSent(t *testing.T) {
	client, s := serve(t, ok(`{"ok":true,"sessionId":"s"}`))
	for phrase, d := range map[string]daily.DialOut{
		"nobody":            {},
		"two targets":       {PhoneNumber: "+15550101", SIPURI: "sip:a@b"},
		"no E.164":          {PhoneNumber: "5550101"},
		"no SIP address":    {SIPURI: "a@b"},
		"a long user id":    {PhoneNumber: "+15550101", UserID: strings.Repeat("x", 37)},
		"a long extension":  {PhoneNumber: "+15550101", Extension: strings.Repeat("1", 21)},
		"a long wait":       {PhoneNumber: "+15550101", WaitBeforeExtension: 61},
		"a wait below zero": {PhoneNumber: "+15550101", WaitBeforeExtension: -1},
	} {
		if _, err := client.StartDialOut(t.Context(), "r", d); !errors.Is(err, daily.ErrRefused) || daily.Doubtful(err) {
			t.Errorf("%s: %v", phrase, err)
		}
	}
	if _, err := client.StartDialOut(t.Context(), "no/room", daily.DialOut{PhoneNumber: "+15550101"}); !errors.Is(err, daily.ErrRefused) {
		t.Errorf("a bad room: %v", err)
	}
	if err := client.StopDialOut(t.Context(), "r", ""); !errors.Is(err, daily.ErrRefused) {
		t.Errorf("no session: %v", err)
	}
	if err := client.StopDialOut(t.Context(), "", "s"); !errors.Is(err, daily.ErrRefused) {
		t.Errorf("no room: %v", err)
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestStopDialOut(t *testing.T) {
	for phrase, c := range map[string]struct {
		replies  []reply
		requests int
		notFound bool
	}{
		"an answer":                {[]reply{ok(`{"ok":true}`)}, 1, false},
		"an answer without a body": {[]reply{ok(``)}, 1, false},
		"after a broken one":       {[]reply{{does: hangUp}, {status: 503}, ok(``)}, 3, false},
		"nothing to stop":          {[]reply{{status: 404, body: `{"error":"not-found"}`}}, 1, true},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, c.replies...)
			err := client.StopDialOut(t.Context(), "tl-abc-1", "leg-1")
			if errors.Is(err, daily.ErrNotFound) != c.notFound || !c.notFound && err != nil {
				t.Fatal(err)
			}
			all := s.requests()
			if len(all) != c.requests || all[0].method != "POST" || all[0].path != "/v1/rooms/tl-abc-1/dialOut/stop" ||
				!sameJSON(t, []byte(all[0].body), []byte(`{"sessionId":"leg-1"}`)) {
				t.Errorf("%+v", all)
			}
		})
	}
}
