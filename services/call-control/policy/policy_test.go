// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/trunkline/trunkline/pkg/config"
	"github.com/trunkline/trunkline/services/call-control/policy"
)

// Numbers in California, New York, London, and on a Portuguese mobile, which may be on the Azores.
const (
	california = "+14155550123"
	newYork    = "+12125550123"
	london     = "+442079460000"
	portuguese = "+351912345678"
)

// noon of a Wednesday, UTC.
var noon = time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)

func newPolicy(t testing.TB, cfg config.Policy) *policy.Policy {
	t.Helper()
	p, err := policy.New(cfg, "US")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJudge(t *testing.T) {
	usual := config.Policy{
		Countries: []string{"US", "GB", "PT"}, BlockedPrefixes: []string{"+1917", "+447"},
		DoNotCall: listFile(t, "+1 212 555 0199\n"),
	}
	for name, c := range map[string]struct {
		cfg      config.Policy
		number   string
		decision policy.Decision
		rule     string
		detail   string
	}{
		"allowed":                       {usual, california, policy.Allow, "", ""},
		"in another country":            {usual, london, policy.Allow, "", ""},
		"default deny":                  {config.Policy{}, california, policy.Refuse, "country", "policy.countries names none: nobody may be called"},
		"not among the countries":       {usual, "+4930123456", policy.Refuse, "country", "belongs to DE; policy.countries has US, GB, PT"},
		"Canada is not the US":          {usual, "+14165550123", policy.Refuse, "country", "belongs to CA; policy.countries has US, GB, PT"},
		"Puerto Rico is not the US":     {usual, "+17873331234", policy.Refuse, "country", "belongs to PR; policy.countries has US, GB, PT"},
		"a satellite phone":             {usual, "+881612345678", policy.Refuse, "country", "belongs to no country"},
		"a blocked prefix":              {usual, "+19175550123", policy.Refuse, "prefix", "begins with +1917"},
		"another blocked prefix":        {usual, "+447400123456", policy.Refuse, "prefix", "begins with +447"},
		"premium rate":                  {usual, "+19005550123", policy.Refuse, "premium", "is a premium-rate number"},
		"shared cost":                   {config.Policy{Countries: []string{"FR"}}, "+33810123456", policy.Refuse, "premium", "is a shared-cost number"},
		"on the list":                   {usual, "+12125550199", policy.Refuse, "do_not_call", "is on the do-not-call list"},
		"beside one on the list":        {usual, "+12125550198", policy.Allow, "", ""},
		"nobody's number":               {usual, "+15555550100", policy.Refuse, "number", "+1********00 is not a number that anybody can have"},
		"too short":                     {usual, "+1415555", policy.Refuse, "number", "+1****55 is not a number that anybody can have"},
		"no country code that there is": {usual, "+9991234567", policy.Refuse, "number", "+********67 is not in E.164: a plus, the country code and the number, digits alone"},
		"without a country code":        {usual, "4155550123", policy.Refuse, "number", "********23 is not in E.164: a plus, the country code and the number, digits alone"},
		"with blanks":                   {usual, "+1 415 555 0123", policy.Refuse, "number", "+1***********23 is not in E.164: a plus, the country code and the number, digits alone"},
		"with a trunk prefix":           {usual, "+4402079460000", policy.Refuse, "number", "+44*********00 is not in E.164: it has digits that are dialled within its country only"},
		"a SIP URI":                     {usual, "sip:+14155550123@example.com", policy.Refuse, "number", "sip:+1********23@example.com is a SIP URI; only phone numbers are called"},
		"nothing":                       {usual, "", policy.Refuse, "number", "there is no number"},
		"an emergency":                  {usual, "911", policy.Refuse, "number", "*** is not in E.164: a plus, the country code and the number, digits alone"},
		"an emergency as E.164":         {usual, "+1911", policy.Refuse, "number", "+1*** is not in E.164: a plus, the country code and the number, digits alone"},
		"a whole number as its prefix":  {config.Policy{Countries: []string{"US"}, BlockedPrefixes: []string{california}}, california, policy.Refuse, "prefix", "begins with +1********23"},
		"after hours":                   {config.Policy{Countries: []string{"US"}, Hours: config.Hours{From: "09:00", To: "20:00"}}, california, policy.Wait, "hours", "it is Wed 05:00 in America/Los_Angeles; the hours are 09:00 to 20:00"},
		"refused, whatever the hours":   {config.Policy{Hours: config.Hours{From: "09:00", To: "20:00"}}, california, policy.Refuse, "country", "policy.countries names none: nobody may be called"},
	} {
		t.Run(name, func(t *testing.T) {
			verdicts := newPolicy(t, c.cfg).Judge(c.number, noon)
			got := policy.Decide(verdicts)
			if got.Decision != c.decision || got.Rule != c.rule || got.Detail != c.detail {
				t.Errorf("got %v by %q: %q\nall: %+v", got.Decision, got.Rule, got.Detail, verdicts)
			}
		})
	}
}

// Where a number is decides what the clock shows; where nobody knows, it is not called.
func TestHoursOfNumbers(t *testing.T) {
	day := config.Hours{From: "09:00", To: "20:00"}
	for name, c := range map[string]struct {
		hours    config.Hours
		number   string
		at       string
		decision policy.Decision
		detail   string
		until    string
	}{
		"one zone":                          {day, newYork, "2026-07-15T09:00:00-04:00", policy.Allow, "it is Wed 09:00 in America/New_York", ""},
		"too early":                         {day, newYork, "2026-07-15T08:59:00-04:00", policy.Wait, "it is Wed 08:59 in America/New_York; the hours are 09:00 to 20:00", "2026-07-15T13:00:00Z"},
		"on Friday evening":                 {config.Hours{From: "09:00", To: "20:00", Days: []string{"mon", "fri"}}, california, "2026-07-17T20:00:00-07:00", policy.Wait, "it is Fri 20:00 in America/Los_Angeles; the hours are 09:00 to 20:00, mon fri", "2026-07-20T16:00:00Z"},
		"when the clock was put forward":    {day, newYork, "2026-03-07T20:30:00-05:00", policy.Wait, "it is Sat 20:30 in America/New_York; the hours are 09:00 to 20:00", "2026-03-08T13:00:00Z"},
		"several zones, one is too early":   {day, portuguese, "2026-07-15T09:30:00+01:00", policy.Wait, "it is Wed 08:30 in Atlantic/Azores; the hours are 09:00 to 20:00", "2026-07-15T09:00:00Z"},
		"several zones":                     {day, portuguese, "2026-07-15T10:00:00+01:00", policy.Allow, "within the hours in all of its 2 time zones", ""},
		"zones that are never open at once": {day, "+18005550123", "2026-07-15T12:00:00-04:00", policy.Refuse, "there is no time at which the hours are kept in all of its 42 time zones", ""},
		"no known zone":                     {day, "+881612345678", "2026-07-15T12:00:00Z", policy.Refuse, "its time zone is not known", ""},
		"no known zone, at any time":        {config.Hours{}, "+881612345678", "2026-07-15T12:00:00Z", policy.Allow, "any time will do", ""},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			verdicts := newPolicy(t, config.Policy{Hours: c.hours}).Judge(c.number, at)
			got := verdicts[len(verdicts)-1]
			until := ""
			if !got.Until.IsZero() {
				until = got.Until.Format(time.RFC3339)
			}
			if got.Rule != "hours" || got.Decision != c.decision || got.Detail != c.detail || until != c.until {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// The table of the documentation has the rules of the code, in their order.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The rules\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(section, -1) {
		names = append(names, row[1])
	}
	if !reflect.DeepEqual(names, policy.Rules()) {
		t.Errorf("docs/policy.md has %v, the code %v", names, policy.Rules())
	}
}

// A target has hours of its own: every rule is asked but those of policy.
func TestATargetIsJudgedByWhoItIsAndNotByTheHour(t *testing.T) {
	p := newPolicy(t, config.Policy{Countries: []string{"US"}, Hours: config.Hours{From: "00:00", To: "00:01"}})
	if v := policy.Decide(p.Judge(california, noon)); v.Decision != policy.Wait || v.Rule != "hours" {
		t.Errorf("as anybody: %+v", v)
	}
	if v := policy.Decide(p.JudgeTarget(california, noon)); v.Decision != policy.Allow {
		t.Errorf("as a target: %+v", v)
	}
	if v := policy.Decide(p.JudgeTarget(london, noon)); v.Decision != policy.Refuse || v.Rule != "country" {
		t.Errorf("as a target elsewhere: %+v", v)
	}
}

// Every rule speaks, in the same order, whatever the number.
func TestEveryRuleSpeaks(t *testing.T) {
	p := newPolicy(t, config.Policy{Countries: []string{"US"}})
	for _, number := range []string{california, london, "", "sip:a@b", "911", "+1"} {
		var names []string
		for _, v := range p.Judge(number, noon) {
			names = append(names, v.Rule)
			if v.Detail == "" || v.Decision == 0 {
				t.Errorf("%q: %s says nothing: %+v", number, v.Rule, v)
			}
		}
		if !reflect.DeepEqual(names, policy.Rules()) {
			t.Errorf("%q: %v, want %v", number, names, policy.Rules())
		}
	}
}

func TestNoDetailHoldsAWholeNumber(t *testing.T) {
	digits := regexp.MustCompile(`\d{7}`)
	for _, cfg := range []config.Policy{
		{},
		{Countries: []string{"US"}, Hours: config.Hours{From: "09:00", To: "09:01"}},
		{Countries: []string{"US"}, BlockedPrefixes: []string{"+1415555", california, london}, DoNotCall: listFile(t, california+"\n")},
	} {
		p := newPolicy(t, cfg)
		for _, number := range []string{california, london, "4155550123", "(415) 555-0123", "sip:+14155550123@x", "sip:4155550123@x", "tel:" + california, "+4402079460000", "+15555550100"} {
			for _, v := range p.Judge(number, noon) {
				if digits.MatchString(v.Detail) {
					t.Errorf("%s of %s: %q", v.Rule, number, v.Detail)
				}
			}
		}
	}
}

// The emergency numbers of no country are called, however they are written.
func TestEmergencyNumbersAreNeverCalled(t *testing.T) {
	var all []string
	for region := range phonenumbers.GetSupportedRegions() {
		all = append(all, region)
	}
	p := newPolicy(t, config.Policy{Countries: all})
	for _, region := range all {
		code := strconv.Itoa(phonenumbers.GetCountryCodeForRegion(region))
		for n := range 1000 {
			short := strconv.Itoa(n)
			if !phonenumbers.IsEmergencyNumber(short, region) {
				continue
			}
			for _, number := range []string{short, "+" + short, "+" + code + short} {
				if v := p.Judge(number, noon)[0]; v.Decision != policy.Refuse {
					t.Errorf("%s of %s: %+v", number, region, v)
				}
			}
		}
	}
}

func TestDecide(t *testing.T) {
	allow := policy.Verdict{Rule: "a", Decision: policy.Allow}
	soon := policy.Verdict{Rule: "b", Decision: policy.Wait, Until: noon}
	late := policy.Verdict{Rule: "c", Decision: policy.Wait, Until: noon.Add(time.Hour)}
	open := policy.Verdict{Rule: "d", Decision: policy.Wait}
	no := policy.Verdict{Rule: "e", Decision: policy.Refuse}
	never := policy.Verdict{Rule: "f", Decision: policy.Refuse}
	for name, c := range map[string]struct {
		verdicts []policy.Verdict
		rule     string
		decision policy.Decision
	}{
		"all allow":                  {[]policy.Verdict{allow, allow}, "", policy.Allow},
		"a refusal after a wait":     {[]policy.Verdict{allow, soon, no}, "e", policy.Refuse},
		"the first refusal":          {[]policy.Verdict{never, no}, "f", policy.Refuse},
		"the longest wait":           {[]policy.Verdict{soon, late, allow}, "c", policy.Wait},
		"the longest wait, first":    {[]policy.Verdict{late, soon}, "c", policy.Wait},
		"a wait without an end":      {[]policy.Verdict{allow, open}, "d", policy.Wait},
		"one that says until when":   {[]policy.Verdict{open, soon}, "b", policy.Wait},
		"nobody was asked":           {nil, "", policy.Refuse},
		"a verdict that is none yet": {[]policy.Verdict{{Rule: "g"}}, "g", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := policy.Decide(c.verdicts); got.Rule != c.rule || got.Decision != c.decision {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  config.Policy
		want string
	}{
		"a list that is not there":       {config.Policy{DoNotCall: "nowhere.txt"}, "policy.do_not_call: open nowhere.txt"},
		"a list that is a folder":        {config.Policy{DoNotCall: t.TempDir()}, "is a directory"},
		"a list with a line that is bad": {config.Policy{DoNotCall: listFile(t, california+"\n\nsupport\n")}, "line 3 is not a phone number"},
		"hours with one end":             {config.Policy{Hours: config.Hours{From: "09:00"}}, `policy.hours: to: "" is not a time of day`},
		"hours that are none":            {config.Policy{Hours: config.Hours{From: "nine", To: "20:00"}}, `policy.hours: from: "nine" is not a time of day`},
		"a day that is none":             {config.Policy{Hours: config.Hours{Days: []string{"day"}}}, `policy.hours: days: "day" is not one of mon to sun`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := policy.New(c.cfg, "US"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestCause(t *testing.T) {
	built, err := policy.NewCauses(nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"": "error",
		"dial-out not enabled for room. add enable_dialout property to room":                              "not_enabled",
		"dial-out to PhoneNumber is not enabled for domain. Contact support to enable it for your domain": "not_enabled",
		"International dialout not supported. Contact sales to enable it for your domain":                 "international",
		"DIALOUT: INTERNATIONAL DIALOUT NOT SUPPORTED":                                                    "international",
		"invalid phone number":                                 "invalid_number",
		"Invalid number":                                       "invalid_number",
		"'phoneNumber' must be in E.164 format":                "invalid_number",
		"the phone number is not valid":                        "invalid_number",
		"dialOut already started":                              "error",
		"something else":                                       "error",
		"'callerId' is not the id of a purchased phone number": "error",
		"room is not hosting a call, its number of participants is 0; an invalid state has now been reached": "error",
	} {
		if got := built.Cause(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	mine, err := policy.NewCauses([]config.DialError{
		{Pattern: "user busy|\\b486\\b", Cause: "not_answered"},
		{Pattern: "not enabled for room", Cause: "error"},
		{Pattern: "enabled for room", Cause: "no_answer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"User Busy":                           "not_answered",
		"SIP 486 Busy Here":                   "not_answered",
		"SIP 4860":                            "error",
		"dial-out not enabled for room":       "error",
		"dial-out not enabled for domain":     "not_enabled",
		"International dialout not supported": "international",
	} {
		if got := mine.Cause(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if _, err := policy.NewCauses([]config.DialError{{Pattern: "(", Cause: "error"}}); err == nil {
		t.Error("a pattern that is none was taken")
	}
}
