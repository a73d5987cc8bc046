// SPDX-License-Identifier: Apache-2.0

// Package hours knows when something is open: times of day, on days of the week, in a time zone or in several at once.
package hours

import (
	"fmt"
	"strings"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
)

// horizon is how far ahead hours are looked for: a day of the week may lose its hours to a clock that is put forward, so
// one week is not enough.
const horizon = 15 * 24 * time.Hour

// Hours are kept by what the clock on the wall shows. A minute that comes twice is within them twice, one that is left out
// is missed, and hours that would begin in it begin after it. They are made by New; the zero value is never open.
type Hours struct {
	always   bool
	from, to int     // minutes from midnight; to is the first that is too late
	days     [7]bool // on which they begin, from Sunday
	text     string
}

// New reads what is configured.
func New(cfg config.Hours) (Hours, error) {
	h := Hours{always: cfg.From == "" && cfg.To == "" && len(cfg.Days) == 0, to: 24 * 60, text: "all day"}
	if cfg.From != "" || cfg.To != "" {
		from, err := time.Parse("15:04", cfg.From)
		if err != nil {
			return h, fmt.Errorf("from: %q is not a time of day", cfg.From)
		}
		to, err := time.Parse("15:04", cfg.To)
		if err != nil {
			return h, fmt.Errorf("to: %q is not a time of day", cfg.To)
		}
		h.from, h.to = from.Hour()*60+from.Minute(), to.Hour()*60+to.Minute()
		h.text = cfg.From + " to " + cfg.To
	}
	for day := range h.days {
		h.days[day] = len(cfg.Days) == 0
	}
	for _, name := range cfg.Days {
		day := strings.Index("sun mon tue wed thu fri sat", name)
		if len(name) != 3 || day < 0 || day%4 != 0 {
			return h, fmt.Errorf("days: %q is not one of mon to sun", name)
		}
		h.days[day/4] = true
	}
	if len(cfg.Days) > 0 {
		h.text += ", " + strings.Join(cfg.Days, " ")
	}
	return h, nil
}

// String is what the configuration says.
func (h Hours) String() string { return h.text }

// Always reports whether nothing is configured, so that any time will do.
func (h Hours) Always() bool { return h.always }

// Open reports whether the clock, a time in the zone that counts, shows one within the hours. Behind midnight it is the day
// before that counts.
func (h Hours) Open(clock time.Time) bool {
	minute, day := clock.Hour()*60+clock.Minute(), clock.Weekday()
	if h.from < h.to {
		return h.days[day] && h.from <= minute && minute < h.to
	}
	return minute >= h.from && h.days[day] || minute < h.to && h.days[(day+6)%7]
}

// Next is the first moment from at on that is within the hours in every zone, or zero if none is near.
// Without a zone it is at.
func (h Hours) Next(at time.Time, zones ...*time.Location) time.Time {
	last := at.Add(horizon)
	for t := at; !t.After(last); {
		before := t
		for _, zone := range zones {
			t = h.nextIn(t, zone, last)
		}
		if t.Equal(before) {
			return t.UTC()
		}
	}
	return time.Time{}
}

// nextIn is Next for one zone; past last if there is none until then.
func (h Hours) nextIn(t time.Time, zone *time.Location, last time.Time) time.Time {
	for !t.After(last) {
		clock := t.In(zone)
		if h.Open(clock) {
			return t
		}
		// Until the clock is changed, only the beginning of the hours can open them.
		minutes := h.from - clock.Hour()*60 - clock.Minute()
		if minutes <= 0 {
			minutes += 24 * 60
		}
		t = clock.Truncate(time.Minute).Add(time.Duration(minutes) * time.Minute)
		if _, change := clock.ZoneBounds(); !change.IsZero() && change.Before(t) {
			t = change
		}
	}
	return t
}
