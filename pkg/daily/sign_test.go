// SPDX-License-Identifier: Apache-2.0

package daily_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
)

const (
	secret    = "c2VjcmV0LW9mLXRoZS1zd2l0Y2hib2FyZA==" // base64 of "secret-of-the-switchboard"
	newSecret = "YW5vdGhlci1zZWNyZXQ="                 // base64 of "another-secret"
	body      = `{"To":"+15550199","callId":"a"}`
)

// Made with: printf '%s' "$timestamp.$body" | openssl dgst -sha256 -hmac secret-of-the-switchboard -binary | base64
const (
	signedSeconds = "//uTTCGheAGtyfso+8QGH8do6k9npyzvOVwXeygJcJw="
	signedMillis  = "wKS/gaquJ7rQs5JLmko3BPp0l/RVlWnVHgzH5hbfFfk="
)

func sign(t *testing.T, secret, timestamp, body string) string {
	t.Helper()
	s, err := daily.Sign(secret, timestamp, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSign(t *testing.T) {
	for timestamp, want := range map[string]string{"1790589600": signedSeconds, "1790589600123": signedMillis} {
		if got := sign(t, secret, timestamp, body); got != want {
			t.Errorf("at %s: %s, want %s", timestamp, got, want)
		}
	}
}

func TestVerify(t *testing.T) {
	now := time.Unix(1790589600, 0)
	const spaced = `{ "To": "+15550199", "callId": "a" }`

	for phrase, c := range map[string]struct {
		secrets              []string
		signature, timestamp string
		body                 string
		want                 error
	}{
		"seconds":                          {[]string{secret}, signedSeconds, "1790589600", body, nil},
		"milliseconds":                     {[]string{secret}, signedMillis, "1790589600123", body, nil},
		"fraction of a second":             {[]string{secret}, sign(t, secret, "1790589600.5", body), "1790589600.5", body, nil},
		"new secret of two":                {[]string{secret, newSecret}, sign(t, newSecret, "1790589600", body), "1790589600", body, nil},
		"old secret of two":                {[]string{newSecret, secret}, signedSeconds, "1790589600", body, nil},
		"good secret after one not base64": {[]string{"%%%", secret}, signedSeconds, "1790589600", body, nil},
		"signed over the compact form":     {[]string{secret}, signedSeconds, "1790589600", spaced, nil},
		"as old as allowed":                {[]string{secret}, sign(t, secret, "1790589300", body), "1790589300", body, nil},

		"no signature":        {[]string{secret}, "", "1790589600", body, daily.ErrUnsigned},
		"no timestamp":        {[]string{secret}, signedSeconds, "", body, daily.ErrUnsigned},
		"no secret":           {nil, signedSeconds, "1790589600", body, daily.ErrBadSignature},
		"empty secret":        {[]string{""}, signedSeconds, "1790589600", body, daily.ErrBadSignature},
		"secret not base64":   {[]string{"?sesame?"}, signedSeconds, "1790589600", body, daily.ErrBadSignature},
		"wrong secret":        {[]string{newSecret}, signedSeconds, "1790589600", body, daily.ErrBadSignature},
		"another body":        {[]string{secret}, signedSeconds, "1790589600", `{"To":"+15550198","callId":"a"}`, daily.ErrBadSignature},
		"another timestamp":   {[]string{secret}, signedSeconds, "1790589601", body, daily.ErrBadSignature},
		"hex signature":       {[]string{secret}, "9f86d081884c7d659a2feaa0c55ad015", "1790589600", body, daily.ErrBadSignature},
		"timestamp a word":    {[]string{secret}, sign(t, secret, "soon", body), "soon", body, daily.ErrBadSignature},
		"timestamp NaN":       {[]string{secret}, sign(t, secret, "NaN", body), "NaN", body, daily.ErrBadSignature},
		"timestamp negative":  {[]string{secret}, sign(t, secret, "-1", body), "-1", body, daily.ErrBadSignature},
		"stale":               {[]string{secret}, sign(t, secret, "1790589180", body), "1790589180", body, daily.ErrStale},
		"from the future":     {[]string{secret}, sign(t, secret, "1790590020000", body), "1790590020000", body, daily.ErrStale},
		"stale and wrong too": {[]string{secret}, signedSeconds, "1790589180", body, daily.ErrBadSignature},
	} {
		t.Run(phrase, func(t *testing.T) {
			v := daily.Verifier{Secrets: c.secrets, Now: func() time.Time { return now }}
			err := v.Verify(c.signature, c.timestamp, []byte(c.body))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err != nil {
				for _, s := range c.secrets {
					if s != "" && strings.Contains(err.Error(), s) {
						t.Errorf("the error tells the secret: %v", err)
					}
				}
			}
		})
	}
}

func TestStaleSaysByHowMuch(t *testing.T) {
	v := daily.Verifier{
		Secrets: []string{secret},
		MaxAge:  time.Minute,
		Now:     func() time.Time { return time.Unix(1790589600, 0) },
	}
	for timestamp, want := range map[string]string{
		"1790589480": "this machine's clock: 2m0s behind it, 1m0s allowed",
		"1790589720": "this machine's clock: 2m0s ahead of it, 1m0s allowed",
	} {
		err := v.Verify(sign(t, secret, timestamp, body), timestamp, []byte(body))
		if !errors.Is(err, daily.ErrStale) || !strings.Contains(err.Error(), want) {
			t.Errorf("at %s: %v", timestamp, err)
		}
	}
}

func TestVerifyByTheRealClock(t *testing.T) {
	timestamp := time.Now().Format("20060102") // a number, but of 1970
	v := daily.Verifier{Secrets: []string{secret}}
	if err := v.Verify(sign(t, secret, timestamp, body), timestamp, []byte(body)); !errors.Is(err, daily.ErrStale) {
		t.Errorf("got %v", err)
	}
}
