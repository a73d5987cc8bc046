// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"errors"
	"testing"

	"github.com/trunkline/trunkline/pkg/phone"
)

func TestNormalize(t *testing.T) {
	for name, c := range map[string]struct{ raw, region, want string }{
		"E.164":                        {"+14155550100", "US", "+14155550100"},
		"E.164 without a region":       {"+442079460000", "", "+442079460000"},
		"E.164 of another region":      {"+442079460000", "US", "+442079460000"},
		"national":                     {"(415) 555-0100", "US", "+14155550100"},
		"national with trunk prefix":   {"020 7946 0000", "GB", "+442079460000"},
		"dots":                         {"415.555.0100", "US", "+14155550100"},
		"with the country code alone":  {"14155550100", "US", "+14155550100"},
		"dialled abroad":               {"011 44 20 7946 0000", "US", "+442079460000"},
		"blanks around":                {"  +1 415 555 0100\n", "US", "+14155550100"},
		"non-breaking hyphen":          {"+1\u2011415\u2011555\u20110100", "US", "+14155550100"},
		"pasted with direction marks":  {"\u202a+14155550100\u202c", "US", "+14155550100"},
		"region in lower case":         {"4155550100", "us", "+14155550100"},
		"Italian zero stays":           {"+39 06 698 12345", "US", "+390669812345"},
		"tel URI":                      {"tel:+1-415-555-0100", "US", "+14155550100"},
		"tel URI with parameters":      {"TEL:+14155550100;noa=international", "US", "+14155550100"},
		"SIP URI":                      {" sip:support@example.sip.daily.co ", "US", "sip:support@example.sip.daily.co"},
		"SIP URI with a number":        {"sip:+14155550100@example.com;user=phone", "US", "sip:+14155550100@example.com;user=phone"},
		"SIPS URI in capitals":         {"SIPS:bot@example.com", "US", "SIPS:bot@example.com"},
		"SIP URI without a user":       {"sip:example.com", "US", "sip:example.com"},
		"empty":                        {"", "US", ""},
		"blank":                        {" \t", "US", ""},
		"anonymous":                    {"anonymous", "US", ""},
		"Anonymous":                    {"Anonymous", "US", ""},
		"UNKNOWN":                      {"UNKNOWN", "US", ""},
		"restricted":                   {"restricted", "US", ""},
		"unavailable":                  {" Unavailable ", "US", ""},
		"anonymous as RFC 3323 has it": {"sip:anonymous@anonymous.invalid", "US", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := phone.Normalize(c.raw, c.region)
			if err != nil || got != c.want {
				t.Errorf("Normalize(%q, %q) = %q, %v; want %q", c.raw, c.region, got, err, c.want)
			}
			if again, err := phone.Normalize(got, c.region); err != nil || again != got {
				t.Errorf("once more: %q, %v", again, err)
			}
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ raw, region string }{
		"a bare SIP user":              {"support", "US"},
		"a user with digits":           {"agent4155550100", "US"},
		"an extension of a PBX":        {"1001", "US"},
		"too short":                    {"415555", "US"},
		"a local number":               {"5550100", "US"},
		"too long":                     {"+1415555010012345", "US"},
		"no such country code":         {"+9991234567", "US"},
		"national without a region":    {"4155550100", ""},
		"an extension":                 {"+14155550100 ext. 5", "US"},
		"an extension in a tel URI":    {"tel:+14155550100;ext=5", "US"},
		"a local tel URI":              {"tel:5550100;phone-context=+1415", "US"},
		"letters":                      {"1-800-FLOWERS", "US"},
		"SIP URI without a host":       {"sip:support@", "US"},
		"scheme alone":                 {"sip:", "US"},
		"SIP URI with a line break":    {"sip:a@b\r\nX-Evil: 1", "US"},
		"a web address":                {"https://example.com/4155550100", "US"},
		"an e-mail address":            {"support@example.com", "US"},
		"emergency, not to be dialled": {"911", "US"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := phone.Normalize(c.raw, c.region)
			if !errors.Is(err, phone.ErrNotANumber) || got != c.raw {
				t.Errorf("Normalize(%q, %q) = %q, %v; want it back with ErrNotANumber", c.raw, c.region, got, err)
			}
		})
	}
}

func TestKnownRegion(t *testing.T) {
	for region, want := range map[string]bool{"US": true, "GB": true, "": false, "us": false, "XX": false, "USA": false} {
		if got := phone.KnownRegion(region); got != want {
			t.Errorf("KnownRegion(%q) = %v", region, got)
		}
	}
}

func TestRegion(t *testing.T) {
	for number, want := range map[string]string{
		"+14155550100":      "US",
		"+16045550100":      "CA",
		"+442079460000":     "GB",
		"+80012345678":      "", // freephone, of the whole world
		"+99912345678":      "",
		"4155550100":        "",
		"sip:+1415@b.c":     "",
		"":                  "",
		"+1415555010012345": "",
	} {
		if got := phone.Region(number); got != want {
			t.Errorf("Region(%q) = %q, want %q", number, got, want)
		}
	}
}

func TestTheNumberInASIPURI(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:+19005550123@trunk.example":        "+19005550123",
		"sips:+19005550123;ext=1@trunk.example": "+19005550123",
		"sip:+19005550123:secret@trunk.example": "+19005550123",
		"sip:desk@example.com":                  "",
		"sip:trunk.example":                     "",
		"sip:19005550123@trunk.example":         "",
		"sip:+1-900-555-0123@trunk.example":     "",
	} {
		if got := phone.InSIP(uri); got != want {
			t.Errorf("%s: %q", uri, got)
		}
	}
}
