// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"regexp"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// A plan is what a country's numbers look like behind its country code.
type plan struct {
	lengths uint32         // those that there are, a bit each
	trunk   []byte         // what is dialled before a number within the country
	other   *regexp.Regexp // the same where it is not that simple
}

// plans are the numbering plans by country code.
var plans = sync.OnceValue(func() *[1000]*plan {
	var plans [1000]*plan
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return &plans // no line is plain
	}
	for _, m := range all.GetMetadata() {
		code := int(m.GetCountryCode())
		if code <= 0 || code >= len(plans) || m.GetId() != phonenumbers.GetRegionCodeForCountryCode(code) {
			continue // another country of the same code
		}
		p := &plan{}
		for _, n := range m.GetGeneralDesc().GetPossibleLength() {
			if n > 0 && n < 32 {
				p.lengths |= 1 << n
			}
		}
		trunk := []byte(m.GetNationalPrefixForParsing())
		if _, simple := decimal(trunk); simple {
			p.trunk = trunk
		} else if len(trunk) > 0 {
			p.other = regexp.MustCompile("^(?:" + string(trunk) + ")")
		}
		plans[code] = p
	}
	return &plans
})

// plain reads a line that is in E.164 beyond doubt, a hundred times faster than all that a line may be. Of what it takes it
// makes what phone.Normalize would.
func plain(text []byte) (digits uint64, ok bool) {
	if len(text) < 8 || len(text) > 16 || text[0] != '+' {
		return 0, false
	}
	if digits, ok = decimal(text[1:]); !ok {
		return 0, false
	}
	plans := plans()
	code := 0
	for i := 1; i <= 3; i++ {
		code = code*10 + int(text[i]-'0')
		if p := plans[code]; p != nil {
			return digits, p.fits(text[i+1:])
		}
	}
	return 0, false
}

// fits reports whether the number is as long as one can be, and has nothing before it that belongs not to it.
func (p *plan) fits(number []byte) bool {
	if p.lengths>>len(number)&1 == 0 || len(p.trunk) > 0 && bytes.HasPrefix(number, p.trunk) {
		return false
	}
	return p.other == nil || !p.other.Match(number)
}

// decimal reads digits, of which there is at least one.
func decimal(text []byte) (n uint64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, len(text) > 0
}
