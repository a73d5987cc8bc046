// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/trunkline/trunkline/pkg/phone"
)

// A rule gives its verdict on a number. Every rule but the first can rely on one that was parsed.
type rule struct {
	name  string
	judge func(*Policy, number, time.Time) Verdict
	timed bool // it asks when, and not whether
}

var rules = []rule{
	{name: "number", judge: (*Policy).number},
	{name: "country", judge: (*Policy).country},
	{name: "prefix", judge: (*Policy).prefix},
	{name: "premium", judge: (*Policy).premium},
	{name: "do_not_call", judge: (*Policy).doNotCall},
	{name: "hours", judge: (*Policy).inHours, timed: true},
}

// Rules are the names of the rules, in the order of their verdicts.
func Rules() []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return names
}

// A number is what is to be called, as it was written.
type number struct {
	text   string
	parsed *phonenumbers.PhoneNumber // nil if it is not in E.164
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func parse(text string) number {
	if !e164.MatchString(text) {
		return number{text: text}
	}
	parsed, err := phonenumbers.Parse(text, "")
	if err != nil {
		return number{text: text}
	}
	return number{text, parsed}
}

func allow(detail string) Verdict { return Verdict{Decision: Allow, Detail: detail} }

func refuse(format string, args ...any) Verdict {
	return Verdict{Decision: Refuse, Detail: fmt.Sprintf(format, args...)}
}

// number wants the one form that every list and every count knows a number by. Emergency and other short numbers have none.
func (p *Policy) number(n number, _ time.Time) Verdict {
	masked := phone.Mask(n.text)
	switch {
	case n.text == "":
		return refuse("there is no number")
	case phone.IsSIP(n.text):
		return refuse("%s is a SIP URI; only phone numbers are called", masked)
	case n.parsed == nil:
		return refuse("%s is not in E.164: a plus, the country code and the number, digits alone", masked)
	case phonenumbers.Format(n.parsed, phonenumbers.E164) != n.text:
		return refuse("%s is not in E.164: it has digits that are dialled within its country only", masked)
	case !phonenumbers.IsValidNumber(n.parsed):
		return refuse("%s is not a number that anybody can have", masked)
	}
	return allow(masked)
}

func (p *Policy) country(n number, _ time.Time) Verdict {
	region := phonenumbers.GetRegionCodeForNumber(n.parsed)
	switch {
	case len(p.rules.Countries) == 0:
		return refuse("policy.countries names none: nobody may be called")
	case region == "" || region == "001":
		return refuse("belongs to no country")
	case !slices.Contains(p.rules.Countries, region):
		return refuse("belongs to %s; policy.countries has %s", region, strings.Join(p.rules.Countries, ", "))
	}
	return allow("belongs to " + region)
}

func (p *Policy) prefix(n number, _ time.Time) Verdict {
	for _, prefix := range p.rules.BlockedPrefixes {
		if strings.HasPrefix(n.text, prefix) {
			return refuse("begins with %s", prefix)
		}
	}
	return allow("begins with no blocked prefix")
}

func (p *Policy) premium(n number, _ time.Time) Verdict {
	switch phonenumbers.GetNumberType(n.parsed) {
	case phonenumbers.PREMIUM_RATE:
		return refuse("is a premium-rate number")
	case phonenumbers.SHARED_COST:
		return refuse("is a shared-cost number")
	}
	return allow("is neither premium-rate nor shared-cost")
}

func (p *Policy) doNotCall(n number, _ time.Time) Verdict {
	if p.rules.DoNotCall == "" {
		return allow("there is no list")
	}
	list := *p.list.Load()
	if digits, err := strconv.ParseUint(n.text[1:], 10, 64); err != nil || list.has(digits) {
		return refuse("is on the do-not-call list")
	}
	return allow(fmt.Sprintf("is not on the list of %d", len(list)))
}

// inHours wants the hours kept in every time zone that the number may be in: a mobile number tells no more.
func (p *Policy) inHours(n number, at time.Time) Verdict {
	if p.hours.Always() {
		return allow("any time will do")
	}
	zones, err := p.zonesOf(n)
	if err != nil {
		return refuse("%s", err)
	}
	until := p.hours.Next(at, zones...)
	if until.Equal(at) {
		return allow(clocks(at, zones))
	}
	if until.IsZero() {
		return refuse("there is no time at which the hours are kept in all of its %d time zones", len(zones))
	}
	closed := zones[slices.IndexFunc(zones, func(z *time.Location) bool { return !p.hours.Open(at.In(z)) })]
	return Verdict{Decision: Wait, Until: until, Detail: clocks(at, []*time.Location{closed}) + "; the hours are " + p.hours.String()}
}

// clocks tells what the clocks show, or how many do.
func clocks(at time.Time, zones []*time.Location) string {
	if len(zones) > 1 {
		return fmt.Sprintf("within the hours in all of its %d time zones", len(zones))
	}
	return fmt.Sprintf("it is %s in %s", at.In(zones[0]).Format("Mon 15:04"), zones[0])
}

func (p *Policy) zonesOf(n number) ([]*time.Location, error) {
	names, err := phonenumbers.GetTimezonesForNumber(n.parsed)
	if err != nil || len(names) == 0 || slices.Contains(names, phonenumbers.UNKNOWN_TIMEZONE) {
		return nil, fmt.Errorf("its time zone is not known")
	}
	zones := make([]*time.Location, len(names))
	for i, name := range names {
		if zones[i], err = p.zone(name); err != nil {
			return nil, fmt.Errorf("its time zone, %s, is not known here", name)
		}
	}
	return zones, nil
}

// zone is remembered: to load it takes longer than all the rules.
func (p *Policy) zone(name string) (*time.Location, error) {
	if z, ok := p.zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	z, err := time.LoadLocation(name)
	if err == nil {
		p.zones.Store(name, z)
	}
	return z, err
}
