// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

const (
	kindPhoneOut = "pstn-dial-out"
	kindSIPOut   = "sip-dial-out"
)

// dialAsk is what a start asks for.
type dialAsk struct {
	target  string // the number, or the SIP URI with all its parameters
	kind    string
	fields  map[string]any // as asked
	headers map[string]string

	displayName, userID, callerID, provider string
	permissions                             map[string]any
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

// readDialAsk refuses what Daily's reference rules out. clientFields says what becomes of the fields that only the client
// API is documented to have: taken, ignored or refused.
func readDialAsk(body map[string]any, clientFields string) (dialAsk, *apiError) {
	a := dialAsk{kind: kindPhoneOut, fields: body}
	var uri, extension string
	for key, to := range map[string]*string{
		"phoneNumber": &a.target, "sipUri": &uri, "displayName": &a.displayName, "userId": &a.userID,
		"callerId": &a.callerID, "extension": &extension, "provider": &a.provider,
	} {
		v, err := fieldString(body, key)
		if err != nil {
			return a, err
		}
		*to = v
	}
	_, hasProvider := body["provider"]
	_, hasPermissions := body["permissions"]
	switch {
	case (a.target == "") == (uri == ""):
		return a, invalid("exactly one of 'phoneNumber' and 'sipUri' is required")
	case a.target != "" && !e164.MatchString(a.target):
		return a, invalid("'phoneNumber' must be in E.164 format")
	case uri != "" && !strings.HasPrefix(uri, "sip:"):
		return a, invalid("'sipUri' must start with 'sip:'")
	case len(extension) > 20:
		return a, invalid("'extension' must have at most 20 characters")
	case len(a.userID) > 36:
		return a, invalid("'userId' must have at most 36 characters")
	case clientFields == "refused" && (hasProvider || hasPermissions):
		return a, invalid("'provider' and 'permissions' are not known")
	case a.provider != "" && a.provider != "daily" && a.provider != "signalwire":
		return a, invalid("'provider' must be 'daily' or 'signalwire'")
	}
	if uri != "" {
		a.target, a.kind = uri, kindSIPOut
		a.headers = sipHeaders(uri)
	}
	if clientFields == "ignored" || !a.sip() {
		a.provider = ""
	}
	if a.displayName == "" {
		a.displayName = a.address()
	}
	if err := checkPermissions(body, "permissions"); err != nil {
		return a, err
	}
	if clientFields == "taken" {
		a.permissions, _ = body["permissions"].(map[string]any)
	}
	return a, checkDialFields(body)
}

func checkDialFields(body map[string]any) *apiError {
	if v, set := body["video"]; set && v != nil {
		if _, ok := v.(bool); !ok {
			return invalid("'video' must be a boolean")
		}
	}
	if v, set := body["waitBeforeExtensionDialSec"]; set && v != nil {
		if n, ok := v.(float64); !ok || n < 0 || n > 60 || n != math.Trunc(n) {
			return invalid("'waitBeforeExtensionDialSec' must be between 0 and 60")
		}
	}
	if _, err := fieldObject(body, "videoSettings"); err != nil {
		return err
	}
	codecs, err := fieldObject(body, "codecs")
	if err != nil {
		return err
	}
	for kind, known := range map[string][]string{"audio": {"OPUS", "G722", "PCMU", "PCMA"}, "video": {"H264", "VP8"}} {
		names, err := fieldStrings(codecs, kind, len(known))
		if err != nil {
			return err
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				return invalid("'codecs.%s': unknown codec '%s'", kind, name)
			}
		}
	}
	return nil
}

func (a dialAsk) sip() bool { return a.kind == kindSIPOut }

// address is who is called, without what goes along: the number, or the SIP URI up to its parameters.
func (a dialAsk) address() string {
	address, _, _ := strings.Cut(a.target, "?")
	if a.sip() {
		address, _, _ = strings.Cut(address, ";")
	}
	return address
}

// sipHeaders are the X- parameters of a SIP URI.
func sipHeaders(uri string) map[string]string {
	headers := map[string]string{}
	_, query, _ := strings.Cut(uri, "?")
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(strings.ToUpper(name), "X-") {
			headers[name] = value
		}
	}
	return headers
}
