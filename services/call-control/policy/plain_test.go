// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/trunkline/trunkline/pkg/phone"
)

// A line that is taken as it stands is what it would become the long way: else a number on the list would not be found.
func TestPlainIsWhatNormalizeMakes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	try := func(line string) bool {
		digits, ok := plain([]byte(line))
		if !ok {
			return false
		}
		taken++
		if number, err := phone.Normalize(line, ""); err != nil || number != "+"+strconv.FormatUint(digits, 10) {
			t.Errorf("%s is taken as %d, but is %s, %v", line, digits, number, err)
		}
		return true
	}
	for region := range phonenumbers.GetSupportedRegions() {
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.TOLL_FREE} {
			n := phonenumbers.GetExampleNumberForType(region, kind)
			if n == nil {
				continue
			}
			try(phonenumbers.Format(n, phonenumbers.E164))
			code, national := "+"+strconv.Itoa(int(n.GetCountryCode())), phonenumbers.GetNationalSignificantNumber(n)
			for _, trunk := range []string{"0", "1", "8", "00", "01", "06", "15", "044", strconv.Itoa(random.IntN(1000))} {
				try(code + trunk + national)
				try(code + trunk + national[min(len(trunk), len(national)):])
			}
		}
	}
	for range 20_000 {
		line := "+" + strconv.Itoa(1+random.IntN(9))
		for range 6 + random.IntN(9) {
			line += strconv.Itoa(random.IntN(10))
		}
		try(line)
	}
	if taken < 1000 {
		t.Errorf("only %d lines were taken as they stand", taken)
	}
	for _, line := range []string{"", "+", "14155550123", "+1415555012", "+141555501234", "+1415555012a", "+4402079460000", "+0123456789", "+9991234567", "+" + strings.Repeat("1", 16)} {
		if try(line) {
			t.Errorf("%q was taken as it stands", line)
		}
	}
	for _, line := range []string{"+14155550123", "+442079460000", "+390612345678", "+4930123456", "+919876543210"} {
		if !try(line) {
			t.Errorf("%s was not taken as it stands", line)
		}
	}
}
