// SPDX-License-Identifier: Apache-2.0

// Package phone knows phone numbers and SIP URIs: how to bring them to one
// form, and how to show them without giving them away.
package phone

import (
	"errors"
	"regexp"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// ErrNotANumber is returned for what is neither a phone number nor a SIP URI.
var ErrNotANumber = errors.New("not a phone number or SIP URI")

// e164 is what Normalize makes of a number; MaskAll masks no shorter one.
var e164 = regexp.MustCompile(`^\+[1-9]\d{6,14}$`)

// Normalize brings a phone number in any usual form to E.164. A number
// without a country code is read as one of region, such as "US"; without a
// region, only international numbers are understood.
//
// A SIP URI is returned trimmed and otherwise as it is. A caller who is not
// shown, whether as "" or in a word such as "anonymous", gives "". Whether a
// number is in service is not asked, only whether it can be one.
//
// What is neither is returned as it is, with ErrNotANumber: SIP interconnect
// gives bare users, and the caller decides what they are worth.
func Normalize(raw, region string) (string, error) {
	s := strings.TrimSpace(raw)
	switch {
	case isAnonymous(s):
		return "", nil
	case IsSIP(s):
		return s, nil
	}
	number, ok := parse(telNumber(s), strings.ToUpper(region))
	if !ok {
		return raw, ErrNotANumber
	}
	if again, ok := parse(number, ""); !ok || again != number {
		return raw, ErrNotANumber // a prefix within a prefix: nobody's number
	}
	return number, nil
}

func parse(s, region string) (number string, ok bool) {
	s = strings.Map(visible, s)
	if !dialable(s) {
		return "", false
	}
	n, err := phonenumbers.Parse(s, region)
	if err != nil || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return "", false
	}
	number = phonenumbers.Format(n, phonenumbers.E164)
	return number, e164.MatchString(number)
}

// visible drops the marks for the direction of writing that come along when a
// number is pasted from an address book.
func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

// IsSIP reports whether s is a SIP URI: scheme sip or sips, something behind
// it, and no blanks.
func IsSIP(s string) bool {
	scheme, rest, found := strings.Cut(s, ":")
	if !found || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		return false
	}
	_, host, found := strings.Cut(rest, "@")
	if !found {
		host = rest
	}
	return host != "" && !strings.ContainsFunc(rest, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// InSIP gives the number, in E.164, that a SIP URI has in the place of the user, as trunks want it; or empty.
func InSIP(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	user, _, found := strings.Cut(rest, "@")
	if end := strings.IndexAny(user, ";:"); end >= 0 {
		user = user[:end]
	}
	if !found || !e164.MatchString(user) {
		return ""
	}
	return user
}

// KnownRegion reports whether region is one whose numbers Normalize can read:
// an ISO 3166 code of two letters.
func KnownRegion(region string) bool {
	return phonenumbers.GetSupportedRegions()[region]
}

// Region is the one, as in KnownRegion, that a number in E.164 belongs to;
// empty for what belongs to none, or is no such number.
func Region(number string) string {
	if !e164.MatchString(number) {
		return ""
	}
	n, err := phonenumbers.Parse(number, "")
	if err != nil {
		return ""
	}
	region := phonenumbers.GetRegionCodeForNumber(n)
	if !KnownRegion(region) { // 001, of numbers that are the world's
		return ""
	}
	return region
}

// isAnonymous knows the words that networks give in place of a number, and
// the URI that RFC 3323 gives.
func isAnonymous(s string) bool {
	switch strings.ToLower(s) {
	case "", "anonymous", "unknown", "restricted", "unavailable", "private", "withheld",
		"sip:anonymous@anonymous.invalid", "sips:anonymous@anonymous.invalid":
		return true
	}
	return false
}

// telNumber takes the number out of a tel: URI. Parameters go, unless one
// changes whom the number reaches.
func telNumber(s string) string {
	if len(s) < 4 || !strings.EqualFold(s[:4], "tel:") {
		return s
	}
	number, params, _ := strings.Cut(s[4:], ";")
	if p := strings.ToLower(params); strings.Contains(p, "ext=") || strings.Contains(p, "phone-context=") {
		return s
	}
	return number
}

// dialable reports whether s is written as a number is: without letters,
// which phonenumbers would skip or dial ("agent4155550100" is a user), and
// without an extension, which E.164 cannot say.
func dialable(s string) bool {
	digits := 0
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits++
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r):
		case strings.ContainsRune("+＋.．/／()（）", r):
		default:
			return false
		}
	}
	return digits >= 4 && digits <= 20
}
