// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Mask hides a number or SIP URI for a log. Of a number the country code and
// the last two digits stay ("+1********23"), of a SIP URI all but the user,
// of anything else the last two characters if there are many.
func Mask(s string) string {
	if IsSIP(s) {
		return maskSIP(s)
	}
	digits, international := strings.CutPrefix(s, "+")
	if !international {
		return stars(s, 0)
	}
	return "+" + stars(digits, countryCodeLength(digits))
}

var (
	international = regexp.MustCompile(`\+\d{7,}`)
	escaped       = regexp.MustCompile(`(?i)%2B\d{7,}`)
	uriUser       = regexp.MustCompile(`(?i)\b(?:sips?|tel):(?:\+|%2B)?\d[\d().-]{5,}\d`)
)

// MaskAll masks every number in E.164 and every phone number that is the user
// of a SIP or tel URI, and leaves the rest of the text alone. Every line of a
// log goes through it.
func MaskAll(text string) string {
	if mayHoldURI(text) {
		text = uriUser.ReplaceAllStringFunc(text, func(uri string) string {
			scheme, user, _ := strings.Cut(uri, ":")
			return scheme + ":" + maskUser(user)
		})
	}
	if strings.Contains(text, "+") {
		text = international.ReplaceAllStringFunc(text, Mask)
	}
	if strings.Contains(text, "%") {
		text = escaped.ReplaceAllStringFunc(text, maskUser)
	}
	return text
}

// written is a number as people write it, and what is on either side of it: no letter and no dash, as in an id.
var written = regexp.MustCompile(`(^|[^\w-])\+?\(?\d[\d ().-]{5,}\d($|[^\w-])`)

// MaskForeign masks the phone numbers in a text that somebody else has written, in whatever way they may be. It may mask
// what is none.
func MaskForeign(text string) string {
	return written.ReplaceAllStringFunc(MaskAll(text), func(number string) string {
		digits, masked := 0, []byte(number)
		for i := len(masked) - 1; i >= 0; i-- {
			if masked[i] < '0' || masked[i] > '9' {
				continue
			}
			if digits++; digits > 2 {
				masked[i] = '*'
			}
		}
		return string(masked)
	})
}

// mayHoldURI spares most lines the regular expression: it wants a colon
// between the end of a scheme and the beginning of a number.
func mayHoldURI(text string) bool {
	for i := 1; i+1 < len(text); i++ {
		if text[i] == ':' && strings.IndexByte("pPsSlL", text[i-1]) >= 0 && strings.IndexByte("+%0123456789", text[i+1]) >= 0 {
			return true
		}
	}
	return false
}

func maskSIP(uri string) string {
	scheme, rest, _ := strings.Cut(uri, ":")
	user, host, found := strings.Cut(rest, "@")
	if !found {
		return MaskAll(uri)
	}
	user, _, password := strings.Cut(user, ":")
	user = maskUser(user)
	if password {
		user += ":***"
	}
	return scheme + ":" + user + "@" + MaskAll(host)
}

// maskUser is Mask for a number whose plus may be escaped, as in a URI.
func maskUser(user string) string {
	if len(user) > 3 && strings.EqualFold(user[:3], "%2B") {
		return user[:3] + strings.TrimPrefix(Mask("+"+user[3:]), "+")
	}
	return Mask(user)
}

// stars hides s but for its first keep characters and, if enough of it stays
// hidden, its last two.
func stars(s string, keep int) string {
	r := []rune(s)
	last := len(r)
	if len(r)-keep >= 6 {
		last -= 2
	}
	for i := min(keep, last); i < last; i++ {
		r[i] = '*'
	}
	return string(r)
}

// countryCodeLength is 0 for digits that no country's code begins. Codes are
// prefix-free, so the first that fits is the one.
func countryCodeLength(digits string) int {
	for n := 1; n <= 3 && n <= len(digits); n++ {
		code, err := strconv.Atoi(digits[:n])
		if err != nil {
			return 0
		}
		if digits[0] != '0' && phonenumbers.GetRegionCodeForCountryCode(code) != phonenumbers.UNKNOWN_REGION {
			return n
		}
	}
	return 0
}
