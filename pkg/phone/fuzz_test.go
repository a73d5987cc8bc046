// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/phone"
)

var number = regexp.MustCompile(`^\+[1-9]\d{6,14}$`)

// FuzzNormalize: what comes out is a number, a SIP URI, nothing or an error;
// normalising it again changes nothing; and masked it is not given away.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{
		"+14155550100", "(415) 555-0100", "011 44 20 7946 0000", "tel:+14155550100", "sip:a@b", "sips:+1415@b;x=y",
		"anonymous", "support", "", "+", "+0", "+999123456", "++14155550100", "+39 06 698 12345", "+52 1 55 1234 5678",
		"٤١٥٥٥٥٠١٠٠", "+1/415/555/0100", "sip:", "sip:@", "tel:", "\xff\xfe",
	} {
		f.Add(seed, "US")
	}
	f.Add("0151 12345678", "DE")
	f.Add("4155550100", "")
	f.Add("0111523456789", "AR")
	f.Fuzz(func(t *testing.T, raw, region string) {
		got, err := phone.Normalize(raw, region)
		if err != nil {
			if got != raw {
				t.Fatalf("refused, but changed: %q", got)
			}
			return
		}
		if got != "" && !number.MatchString(got) && !phone.IsSIP(got) {
			t.Fatalf("Normalize(%q, %q) = %q", raw, region, got)
		}
		if again, err := phone.Normalize(got, region); err != nil || again != got {
			t.Fatalf("Normalize(%q, %q) = %q, then %q, %v", raw, region, got, again, err)
		}
		if number.MatchString(got) && (phone.MaskAll(got) != phone.Mask(got) || phone.Mask(got) == got) {
			t.Fatalf("Mask(%q) = %q, MaskAll = %q", got, phone.Mask(got), phone.MaskAll(got))
		}
	})
}

// FuzzMaskAll: no number survives, whatever stands around it.
func FuzzMaskAll(f *testing.F) {
	f.Add("from ", " to")
	f.Add("sip:", "@example.com")
	f.Add("%2B", "")
	f.Add("+", "0")
	f.Fuzz(func(t *testing.T, before, after string) {
		const caller = "+14155550123"
		masked := phone.MaskAll(before + caller + after)
		if n := strings.Count(before+after, caller); n == 0 && strings.Contains(masked, caller) {
			t.Fatalf("MaskAll(%q) = %q", before+caller+after, masked)
		}
		phone.Mask(before + caller + after)
	})
}
