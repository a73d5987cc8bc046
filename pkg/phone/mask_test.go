// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"testing"

	"github.com/trunkline/trunkline/pkg/phone"
)

func TestMask(t *testing.T) {
	for s, want := range map[string]string{
		"":                                  "",
		"+14155550123":                      "+1********23",
		"+442079460018":                     "+44********18",
		"+353209120000":                     "+353*******00",
		"+9991234567":                       "+********67",
		"+1":                                "+1",
		"+12345":                            "+1****",
		"4155550123":                        "********23",
		"1001":                              "****",
		"support":                           "*****rt",
		"sip:+14155550123@example.com":      "sip:+1********23@example.com",
		"sip:%2B14155550123@example.com":    "sip:%2B1********23@example.com",
		"sips:support:pw@example.com:5061":  "sips:*****rt:***@example.com:5061",
		"sip:bob@example.com;x=+4915112345": "sip:***@example.com;x=+49******45",
		"sip:example.com":                   "sip:example.com",
	} {
		if got := phone.Mask(s); got != want {
			t.Errorf("Mask(%q) = %q; want %q", s, got, want)
		}
	}
}

func TestMaskAll(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"nothing to hide in call abc at 2026-08-01T10:00:00+02:00":     "nothing to hide in call abc at 2026-08-01T10:00:00+02:00",
		"from +14155550123 to +442079460018.":                          "from +1********23 to +44********18.",
		`{"From":"+14155550123"}`:                                      `{"From":"+1********23"}`,
		"sip:4155550123@example.com and sip:room.0@x.sip-us.daily.co":  "sip:********23@example.com and sip:room.0@x.sip-us.daily.co",
		"SIP:+14155550123@example.com":                                 "SIP:+1********23@example.com",
		"tel:415-555-0123":                                             "tel:**********23",
		"GET /calls?from=%2B14155550123&n=1":                           "GET /calls?from=%2B1********23&n=1",
		"port :8080, tz +0200, sum 1+2, ratio 4155550123":              "port :8080, tz +0200, sum 1+2, ratio 4155550123",
		"+123456 is too short, +123456789012345678901 is too long but": "+123456 is too short, +1******************01 is too long but",
	} {
		if got := phone.MaskAll(text); got != want {
			t.Errorf("MaskAll(%q)\n got %q\nwant %q", text, got, want)
		}
		if got := phone.MaskAll(want); got != want {
			t.Errorf("MaskAll(%q) changes what is masked already: %q", want, got)
		}
	}
}

func BenchmarkMaskAll(b *testing.B) {
	line := `time=2026-08-01T10:00:00.000+02:00 level=INFO msg="call received" call_id=abc from=+14155550123`
	for b.Loop() {
		phone.MaskAll(line)
	}
}

func TestMaskForeign(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"dial-out to PhoneNumber is not enabled for domain":     "dial-out to PhoneNumber is not enabled for domain",
		"cannot call 14155550123":                               "cannot call *********23",
		"cannot call +14155550123.":                             "cannot call +1********23.",
		"(+1 (415) 555-0123)":                                   "(+* (***) ***-**23)",
		"415.555.0123 is busy":                                  "***.***.**23 is busy",
		"session 0f7d5e4c-1111-4222-8333-444455556666 has gone": "session 0f7d5e4c-1111-4222-8333-444455556666 has gone",
		"room tl-abc-1, status 404":                             "room tl-abc-1, status 404",
	} {
		if got := phone.MaskForeign(text); got != want {
			t.Errorf("MaskForeign(%q)\n got %q\nwant %q", text, got, want)
		}
	}
}
