// SPDX-License-Identifier: Apache-2.0

package hours

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/config"
)

// Each case names a moment by the clock of the first zone, and when the hours are kept in all of them.
func TestHours(t *testing.T) {
	office := config.Hours{From: "09:00", To: "20:00"}
	weekdays := config.Hours{From: "09:00", To: "20:00", Days: []string{"mon", "tue", "wed", "thu", "fri"}}
	night := config.Hours{From: "22:00", To: "06:00"}
	friday := config.Hours{From: "22:00", To: "06:00", Days: []string{"fri"}}
	gap := config.Hours{From: "02:15", To: "02:45"}
	const (
		ny       = "America/New_York"
		la       = "America/Los_Angeles"
		lisbon   = "Europe/Lisbon"
		azores   = "Atlantic/Azores"
		london   = "Europe/London"
		kolkata  = "Asia/Calcutta" // a name of old, which phone numbers still have
		honolulu = "Pacific/Honolulu"
		guam     = "Pacific/Guam"
	)
	for name, c := range map[string]struct {
		hours    config.Hours
		at, want string // want: empty for at once, never for never
		zones    []string
	}{
		"the first minute":                       {office, "2026-07-15 09:00:00", "", []string{ny}},
		"a second before":                        {office, "2026-07-15 08:59:59", "2026-07-15T09:00:00-04:00", []string{ny}},
		"the last second":                        {office, "2026-07-15 19:59:59", "", []string{ny}},
		"the first minute that is too late":      {office, "2026-07-15 20:00:00", "2026-07-16T09:00:00-04:00", []string{ny}},
		"a half hour zone":                       {office, "2026-07-15 05:30:00", "2026-07-15T09:00:00+05:30", []string{kolkata}},
		"Friday evening":                         {weekdays, "2026-07-17 20:00:00", "2026-07-20T09:00:00-07:00", []string{la}},
		"Sunday noon":                            {weekdays, "2026-07-19 12:00:00", "2026-07-20T09:00:00-07:00", []string{la}},
		"all of Saturday":                        {config.Hours{Days: []string{"sat"}}, "2026-07-17 23:59:00", "2026-07-18T00:00:00-07:00", []string{la}},
		"the last of Saturday":                   {config.Hours{Days: []string{"sat"}}, "2026-07-18 23:59:59", "", []string{la}},
		"over midnight, before it":               {night, "2026-07-15 23:00:00", "", []string{ny}},
		"over midnight, after it":                {night, "2026-07-15 05:59:59", "", []string{ny}},
		"over midnight, by day":                  {night, "2026-07-15 06:00:00", "2026-07-15T22:00:00-04:00", []string{ny}},
		"to midnight":                            {config.Hours{From: "18:00", To: "00:00"}, "2026-07-15 23:59:59", "", []string{ny}},
		"past midnight":                          {config.Hours{From: "18:00", To: "00:00"}, "2026-07-16 00:00:00", "2026-07-16T18:00:00-04:00", []string{ny}},
		"Friday night, on Saturday":              {friday, "2026-07-18 05:59:00", "", []string{ny}},
		"Friday night, on Friday morning":        {friday, "2026-07-17 05:59:00", "2026-07-17T22:00:00-04:00", []string{ny}},
		"Friday night, over on Saturday":         {friday, "2026-07-18 06:00:00", "2026-07-24T22:00:00-04:00", []string{ny}},
		"the night the clock is put forward":     {office, "2026-03-07 21:00:00", "2026-03-08T09:00:00-04:00", []string{ny}},
		"the night the clock is put back":        {office, "2026-10-31 21:00:00", "2026-11-01T09:00:00-05:00", []string{ny}},
		"hours that begin in a gap":              {config.Hours{From: "02:30", To: "05:00"}, "2026-03-08 01:59:59", "2026-03-08T03:00:00-04:00", []string{ny}},
		"hours that a gap swallows":              {gap, "2026-03-08 01:00:00", "2026-03-09T02:15:00-04:00", []string{ny}},
		"a week that a gap takes":                {config.Hours{From: "02:15", To: "02:45", Days: []string{"sun"}}, "2026-03-01 03:00:00", "2026-03-15T02:15:00-04:00", []string{ny}},
		"an hour that comes twice, between them": {config.Hours{From: "01:00", To: "01:30"}, "2026-11-01 01:45:00", "2026-11-01T01:00:00-05:00", []string{ny}},
		"two zones, one is open":                 {office, "2026-07-15 09:30:00", "2026-07-15T10:00:00+01:00", []string{lisbon, azores}},
		"two zones, the other has closed":        {office, "2026-07-15 20:30:00", "2026-07-16T10:00:00+01:00", []string{lisbon, azores}},
		"two zones, both open":                   {office, "2026-07-15 10:00:00", "", []string{lisbon, azores}},
		"two zones that change on other days":    {config.Hours{From: "09:00", To: "13:30"}, "2026-03-10 09:00:00", "2026-03-10T09:00:00-04:00", []string{ny, london}},
		"two zones that seldom meet":             {config.Hours{From: "09:00", To: "13:30"}, "2026-04-10 09:00:00", "never", []string{ny, london}},
		"two zones that never meet":              {config.Hours{From: "09:00", To: "11:00"}, "2026-07-15 09:00:00", "never", []string{honolulu, guam}},
	} {
		t.Run(name, func(t *testing.T) {
			h, zones := mustHours(t, c.hours), mustZones(t, c.zones...)
			at, err := time.ParseInLocation(time.DateTime, c.at, zones[0])
			if err != nil {
				t.Fatal(err)
			}
			got := h.Next(at, zones...)
			switch {
			case c.want == "never":
				if !got.IsZero() {
					t.Errorf("got %s", got)
				}
			case c.want == "":
				if !got.Equal(at) {
					t.Errorf("closed until %s", got.In(zones[0]))
				}
			default:
				if got.In(zones[0]).Format(time.RFC3339) != c.want {
					t.Errorf("got %s, want %s", got.In(zones[0]).Format(time.RFC3339), c.want)
				}
			}
		})
	}
}

// What next finds is what looking at the clock every minute finds, around the days on which clocks are changed.
func TestNextIsTheFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{
		"America/New_York", "America/Los_Angeles", "Europe/London", "Atlantic/Azores", "Australia/Lord_Howe", "Asia/Tehran",
		"America/Santiago", "Asia/Calcutta", "Pacific/Apia", "Africa/Casablanca", "Antarctica/Troll",
	}
	days := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	clock := func() string {
		return time.Date(0, 1, 1, random.IntN(24), 5*random.IntN(12), 0, 0, time.UTC).Format("15:04")
	}
	for range 600 {
		cfg := config.Hours{From: clock(), To: clock()}
		for _, day := range days {
			if random.IntN(3) == 0 {
				cfg.Days = append(cfg.Days, day)
			}
		}
		h := mustHours(t, cfg)
		zones := mustZones(t, names[random.IntN(len(names))])
		if random.IntN(3) == 0 {
			zones = append(zones, mustZones(t, names[random.IntN(len(names))])...)
		}
		month := []time.Month{time.March, time.April, time.September, time.October, time.November}[random.IntN(5)]
		at := time.Date(2026, month, 1+random.IntN(28), random.IntN(24), random.IntN(60), random.IntN(60), 0, time.UTC)
		if got, want := h.Next(at, zones...), everyMinute(h, at, zones); !got.Equal(want) {
			t.Errorf("%s in %v at %s: %s, want %s", h, zones, at, got, want)
		}
	}
}

func everyMinute(h Hours, at time.Time, zones []*time.Location) time.Time {
	for t := at; !t.After(at.Add(horizon)); t = t.Truncate(time.Minute).Add(time.Minute) {
		open := true
		for _, z := range zones {
			open = open && h.Open(t.In(z))
		}
		if open {
			return t
		}
	}
	return time.Time{}
}

func mustHours(t *testing.T, cfg config.Hours) Hours {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustZones(t *testing.T, names ...string) []*time.Location {
	t.Helper()
	zones := make([]*time.Location, len(names))
	for i, name := range names {
		var err error
		if zones[i], err = time.LoadLocation(name); err != nil {
			t.Fatal(err)
		}
	}
	return zones
}

func TestWhatIsConfigured(t *testing.T) {
	for name, c := range map[string]struct {
		cfg    config.Hours
		text   string
		always bool
	}{
		"nothing":         {config.Hours{}, "all day", true},
		"days":            {config.Hours{Days: []string{"sat", "sun"}}, "all day, sat sun", false},
		"a time of day":   {config.Hours{From: "09:00", To: "17:30"}, "09:00 to 17:30", false},
		"both":            {config.Hours{From: "09:00", To: "17:30", Days: []string{"mon"}}, "09:00 to 17:30, mon", false},
		"another clock":   {config.Hours{From: "9am", To: "17:30"}, "", false},
		"one end":         {config.Hours{From: "09:00"}, "", false},
		"another weekday": {config.Hours{Days: []string{"n m"}}, "", false},
	} {
		h, err := New(c.cfg)
		if c.text == "" {
			if err == nil {
				t.Errorf("%s: taken as %s", name, h)
			}
		} else if err != nil || h.String() != c.text || h.Always() != c.always {
			t.Errorf("%s: %q, %t, %v", name, h, h.Always(), err)
		}
	}
	var none Hours
	if at := time.Date(2026, time.July, 15, 12, 0, 0, 0, time.UTC); none.Open(at) || !none.Next(at, time.UTC).IsZero() {
		t.Error("hours that nothing made are open")
	}
}
