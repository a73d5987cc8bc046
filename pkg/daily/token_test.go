// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/trunkline/trunkline/pkg/daily"
)

var at = time.Unix(1790589600, 0).UTC()

func token() daily.MeetingToken {
	return daily.MeetingToken{
		Room: "tl-abc-1", DomainID: "30f866c3", UserID: "bot-abc-1", UserName: "bot", Owner: true,
		IssuedAt: at, NotBefore: at.Add(-time.Minute), Expires: at.Add(time.Hour), EjectAtExpiry: true,
	}
}

func TestTokenClaims(t *testing.T) {
	for phrase, c := range map[string]struct {
		token daily.MeetingToken
		want  string
	}{
		"all of them": {token(), `{"nbf":1790589540,"exp":1790593200,"iat":1790589600,` +
			`"r":"tl-abc-1","d":"30f866c3","ud":"bot-abc-1","u":"bot","o":true,"ejt":true}`},
		"what he may do": {
			daily.MeetingToken{Room: "r1", DomainID: "d1", IssuedAt: at, Permissions: &daily.Permissions{CanSend: false, CanReceive: daily.CanReceive{Base: new(false)}}},
			`{"iat":1790589600,"r":"r1","d":"d1","p":{"canSend":false,"canReceive":{"base":false}}}`,
		},
		"no more than needed": {
			daily.MeetingToken{Room: "r1", DomainID: "d1", IssuedAt: at},
			`{"iat":1790589600,"r":"r1","d":"d1"}`,
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			signed, err := c.token.Sign("key")
			if err != nil {
				t.Fatal(err)
			}
			claims := decode(t, signed, 1)
			if !sameJSON(t, []byte(claims), []byte(c.want)) {
				t.Errorf("claims %s, want %s", claims, c.want)
			}
			if header := decode(t, signed, 0); !sameJSON(t, []byte(header), []byte(`{"alg":"HS256","typ":"JWT"}`)) {
				t.Errorf("header %s", header)
			}
		})
	}
}

func decode(t *testing.T, token string, part int) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTokenThereAndBack(t *testing.T) {
	signed, err := token().Sign("key")
	if err != nil {
		t.Fatal(err)
	}
	got, err := daily.ParseMeetingToken("key", signed)
	if err != nil || got != token() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTokenIssuedNow(t *testing.T) {
	signed, err := daily.MeetingToken{Room: "r", DomainID: "d"}.Sign("key")
	if err != nil {
		t.Fatal(err)
	}
	got, err := daily.ParseMeetingToken("key", signed)
	if err != nil || time.Since(got.IssuedAt).Abs() > time.Minute || !got.Expires.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTokenRefusedToSign(t *testing.T) {
	for phrase, spoil := range map[string]func(*daily.MeetingToken){
		"no room":                         func(m *daily.MeetingToken) { m.Room = "" },
		"no domain id":                    func(m *daily.MeetingToken) { m.DomainID = "" },
		"user id is longer than 36":       func(m *daily.MeetingToken) { m.UserID = strings.Repeat("ä", 37) },
		"eject at expiry without an":      func(m *daily.MeetingToken) { m.Expires = time.Time{} },
		"expires before it is issued":     func(m *daily.MeetingToken) { m.Expires = at },
		"expires before it begins":        func(m *daily.MeetingToken) { m.NotBefore = m.Expires },
		"no room\nno domain id\nuser id ": func(m *daily.MeetingToken) { *m = daily.MeetingToken{UserID: strings.Repeat("x", 40)} },
	} {
		t.Run(phrase, func(t *testing.T) {
			m := token()
			spoil(&m)
			if _, err := m.Sign("key"); err == nil || !strings.Contains(err.Error(), phrase) {
				t.Errorf("got %v", err)
			}
		})
	}
	long := token()
	long.UserID = strings.Repeat("ä", 36)
	if _, err := long.Sign("key"); err != nil {
		t.Errorf("36 characters of two bytes: %v", err)
	}
	if _, err := token().Sign(""); err == nil {
		t.Error("signed without a key")
	}
}

func TestBadTokens(t *testing.T) {
	good, err := token().Sign("key")
	if err != nil {
		t.Fatal(err)
	}
	other := func(m jwt.SigningMethod, key any) string {
		s, err := jwt.NewWithClaims(m, jwt.MapClaims{"r": "tl-abc-1"}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for phrase, c := range map[string]struct{ key, token string }{
		"empty":            {"key", ""},
		"not a token":      {"key", "a.b.c"},
		"another key":      {"other", good},
		"no key":           {"", good},
		"cut short":        {"key", good[:len(good)-4]},
		"algorithm none":   {"key", other(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)},
		"algorithm HS512":  {"key", other(jwt.SigningMethodHS512, []byte("key"))},
		"claims not typed": {"key", mustClaims(t, jwt.MapClaims{"r": 12})},
	} {
		t.Run(phrase, func(t *testing.T) {
			got, err := daily.ParseMeetingToken(c.key, c.token)
			if !errors.Is(err, daily.ErrBadToken) || got != (daily.MeetingToken{}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestTimesAreTheCallersToCheck(t *testing.T) {
	for phrase, claims := range map[string]jwt.MapClaims{
		"long expired":  {"r": "room", "exp": 1000},
		"not yet valid": {"r": "room", "nbf": 9000000000.5},
	} {
		t.Run(phrase, func(t *testing.T) {
			got, err := daily.ParseMeetingToken("key", mustClaims(t, claims))
			if err != nil || got.Room != "room" || got.Expires.IsZero() == got.NotBefore.IsZero() {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func mustClaims(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
