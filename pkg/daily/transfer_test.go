// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/daily"
)

func TestTransfer(t *testing.T) {
	for phrase, c := range map[string]struct {
		ask        func(*testing.T, *daily.Client) error
		path, sent string
	}{
		"to a number with all that goes with it": {
			func(t *testing.T, client *daily.Client) error {
				return client.SIPCallTransfer(t.Context(), "tl-abc-1", daily.TransferSpec{
					SessionID: "leg-1", To: "+15550101", CallerID: "c0ffee", Extension: "12#", WaitBeforeExtension: 3,
				})
			},
			"sipCallTransfer",
			`{"sessionId":"leg-1","toEndPoint":"+15550101","callerId":"c0ffee","extension":"12#","waitBeforeExtensionDialSec":3}`,
		},
		"to a SIP address": {
			func(t *testing.T, client *daily.Client) error {
				return client.SIPCallTransfer(t.Context(), "tl-abc-1", daily.TransferSpec{SessionID: "leg-1", To: "sip:a@b"})
			},
			"sipCallTransfer", `{"sessionId":"leg-1","toEndPoint":"sip:a@b"}`,
		},
		"by REFER": {
			func(t *testing.T, client *daily.Client) error {
				return client.SIPRefer(t.Context(), "tl-abc-1", "leg-1", "sip:a@b")
			},
			"sipRefer", `{"sessionId":"leg-1","toEndPoint":"sip:a@b"}`,
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			client, s := serve(t, ok(`{"ok":"true"}`))
			if err := c.ask(t, client); err != nil {
				t.Fatal(err)
			}
			got := s.requests()[0]
			if got.method != "POST" || got.path != "/v1/rooms/tl-abc-1/"+c.path || !sameJSON(t, []byte(got.body), []byte(c.sent)) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Who may have been sent away is not sent again.
func TestTransferIsSentOnceAndTellsWhatIsClear(t *testing.T) {
	type is struct{ notFound, refused, limited, doubtful bool }
	for phrase, c := range map[string]struct {
		reply reply
		want  is
	}{
		"no such leg":               {reply{status: 404, body: `{"error":"not-found"}`}, is{notFound: true}},
		"not allowed":               {reply{status: 400, body: `{"error":"invalid-request-error"}`}, is{refused: true}},
		"too many":                  {reply{status: 429}, is{limited: true}},
		"a server error":            {reply{status: 500}, is{doubtful: true}},
		"a broken connection":       {reply{does: hangUp}, is{doubtful: true}},
		"a success that says no":    {ok(`{"ok":false}`), is{doubtful: true}},
		"a success that is no JSON": {ok(`hello`), is{doubtful: true}},
	} {
		for name, ask := range map[string]func(*daily.Client) error{
			"transfer": func(client *daily.Client) error {
				return client.SIPCallTransfer(t.Context(), "r", daily.TransferSpec{SessionID: "s", To: "+15550101"})
			},
			"refer": func(client *daily.Client) error { return client.SIPRefer(t.Context(), "r", "s", "sip:a@b") },
		} {
			t.Run(phrase+", "+name, func(t *testing.T) {
				client, s := serve(t, c.reply)
				err := ask(client)
				got := is{errors.Is(err, daily.ErrNotFound), errors.Is(err, daily.ErrRefused), errors.Is(err, daily.ErrRateLimited), daily.Doubtful(err)}
				if got != c.want || err == nil {
					t.Errorf("%+v, want %+v: %v", got, c.want, err)
				}
				if n := len(s.requests()); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

func TestTransferThatCannotBeIsNotSent(t *testing.T) {
	client, s := serve(t, ok(`{"ok":true}`))
	for phrase, spec := range map[string]daily.TransferSpec{
		"nobody":                    {To: "+15550101"},
		"to nowhere":                {SessionID: "s"},
		"to no E.164":               {SessionID: "s", To: "5550101"},
		"to no SIP address":         {SessionID: "s", To: "a@b"},
		"a SIP caller id":           {SessionID: "s", To: "sip:a@b", CallerID: "c0ffee"},
		"an extension of a SIP one": {SessionID: "s", To: "sip:a@b", Extension: "1"},
		"a long extension":          {SessionID: "s", To: "+15550101", Extension: strings.Repeat("1", 21)},
		"a long wait":               {SessionID: "s", To: "+15550101", WaitBeforeExtension: 61},
	} {
		if err := client.SIPCallTransfer(t.Context(), "r", spec); !errors.Is(err, daily.ErrRefused) || daily.Doubtful(err) {
			t.Errorf("%s: %v", phrase, err)
		}
	}
	if err := client.SIPCallTransfer(t.Context(), "no/room", daily.TransferSpec{SessionID: "s", To: "+15550101"}); !errors.Is(err, daily.ErrRefused) {
		t.Errorf("a bad room: %v", err)
	}
	if err := client.SIPRefer(t.Context(), "r", "", "sip:a@b"); !errors.Is(err, daily.ErrRefused) {
		t.Errorf("no session: %v", err)
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}
