// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func list(t *testing.T, raw []byte) []object {
	t.Helper()
	var l []object
	if err := json.Unmarshal(raw, &l); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return l
}

func TestThreeBudgets(t *testing.T) {
	w := start(t, func(c *sim.Config) {
		long := sim.Duration(time.Hour)
		c.Budgets = sim.Budgets{Most: sim.Budget{Limit: 4, Window: long}, Delete: sim.Budget{Limit: 2, Window: long}, Dial: sim.Budget{Limit: 1, Window: long}}
	})
	for _, c := range []struct {
		method, path string
		allowed      int
	}{{"GET", "/rooms", 4}, {"DELETE", "/rooms/x", 2}, {"POST", "/rooms/x/dialOut/start", 1}} {
		for i := range c.allowed + 2 {
			status, answer := w.rest(c.method, c.path, object{"sipUri": "sip:a@b"})
			if over := status == 429; over != (i >= c.allowed) || over && answer["error"] != "rate-limit-error" {
				t.Errorf("%s %s, request %d: %d %v", c.method, c.path, i+1, status, answer)
			}
		}
	}
}

func TestBudgetsByDefaultAreDailys(t *testing.T) {
	w := start(t)
	began, over := time.Now(), 0
	for range 101 {
		if status, _ := w.rest("GET", "/rooms/x", nil); status == 429 {
			over++
		}
	}
	if over != 1 && time.Since(began) < 5*time.Second {
		t.Fatalf("%d of 101 requests were over the limit", over)
	}
}

func TestBudgetComesBack(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Most = sim.Budget{Limit: 1, Window: ms(100)} })
	w.want(200, "GET", "/rooms", nil)
	w.poll("allowed again", func() bool { status, _ := w.rest("GET", "/rooms", nil); return status == 200 })
}

func TestBudgetsLifted(t *testing.T) {
	w := start(t, func(c *sim.Config) { c.Budgets.Lifted, c.Budgets.Most.Limit = true, 1 })
	for range 5 {
		w.want(200, "GET", "/rooms", nil)
	}
}

func TestRetryAfterBySetting(t *testing.T) {
	for phrase, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t, func(c *sim.Config) {
				c.RetryAfter, c.Budgets.Most = told, sim.Budget{Limit: 1, Window: sim.Duration(time.Minute)}
			})
			w.want(200, "GET", "/rooms", nil)
			resp, err := w.do("GET", "/v1/rooms", sim.Defaults().APIKey, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Retry-After"); resp.StatusCode != 429 || (got != "") != told {
				t.Fatalf("%d, Retry-After %q", resp.StatusCode, got)
			}
		})
	}
}

func TestFaultsBeforeAndAfterTheEffect(t *testing.T) {
	for phrase, c := range map[string]struct {
		fault   sim.Fault
		status  int // 0 is a dropped connection
		acted   bool
		isError string
	}{
		"429 before":     {sim.Fault{Kind: "status", Status: 429}, 429, false, "rate-limit-error"},
		"500 before":     {sim.Fault{Kind: "status", Status: 500}, 500, false, "server-error"},
		"500 after":      {sim.Fault{Kind: "status", Status: 500, When: "after"}, 500, true, "server-error"},
		"garbage before": {sim.Fault{Kind: "garbage"}, 200, false, ""},
		"garbage after":  {sim.Fault{Kind: "garbage", When: "after"}, 200, true, ""},
		"empty after":    {sim.Fault{Kind: "empty", When: "after"}, 200, true, ""},
		"empty 502":      {sim.Fault{Kind: "empty", Status: 502}, 502, false, ""},
		"drop before":    {sim.Fault{Kind: "drop"}, 0, false, ""},
		"drop after":     {sim.Fault{Kind: "drop", When: "after"}, 0, true, ""},
	} {
		t.Run(phrase, func(t *testing.T) {
			w := start(t)
			c.fault.Match = "POST /rooms"
			if err := w.SetFaults(sim.Faults{REST: []sim.Fault{c.fault}}); err != nil {
				t.Fatal(err)
			}
			status := 0
			if resp, err := w.do("POST", "/v1/rooms", sim.Defaults().APIKey, object{"name": "r"}); err == nil {
				status = resp.StatusCode
				var body object
				err := json.NewDecoder(resp.Body).Decode(&body)
				resp.Body.Close()
				if (err == nil) != (c.isError != "") || c.isError != "" && body["error"] != c.isError {
					t.Errorf("body %v, %v", body, err)
				}
			}
			if status != c.status {
				t.Errorf("status %d", status)
			}
			if acted := w.Stats().Rooms == 1; acted != c.acted {
				t.Errorf("acted: %v", acted)
			}
			last := w.Requests()[0]
			if last.Status != c.status || last.Acted != c.acted || len(last.Faults) != 1 {
				t.Errorf("log %+v", last)
			}
			if f := w.Faults(); f.REST[0].Hits != 1 {
				t.Errorf("faults %+v", f)
			}
			w.want(200, "GET", "/rooms", nil) // other endpoints are well
		})
	}
}

func TestSlowBeforeAndAfter(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			w := start(t)
			if err := w.SetFaults(sim.Faults{REST: []sim.Fault{{Kind: "slow", Delay: ms(50), When: when, Match: "/rooms"}}}); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w.room("r", nil)
			if took := time.Since(began); took < 50*time.Millisecond {
				t.Fatalf("took %s", took)
			}
		})
	}
}

func TestFaultsFitByClassAndPatternAndCountDown(t *testing.T) {
	w := start(t)
	w.room("r", nil)
	for phrase, c := range map[string]struct {
		fault    sim.Fault
		statuses string
	}{
		"class of deletes":        {sim.Fault{Class: "delete"}, "200 500 404"},
		"class of most":           {sim.Fault{Class: "most"}, "500 404 500"},
		"a pattern with a star":   {sim.Fault{Match: "* /rooms/*/eject"}, "200 404 500"},
		"a path for all methods":  {sim.Fault{Match: "/rooms/x"}, "200 500 404"},
		"everything":              {sim.Fault{}, "500 500 500"},
		"everything, twice":       {sim.Fault{Times: 2}, "500 500 404"},
		"what the body has":       {sim.Fault{Body: `"caller-1"`}, "500 500 500"},
		"what the body has not":   {sim.Fault{Body: `"caller-2"`}, "200 404 404"},
		"another method":          {sim.Fault{Match: "PUT /rooms"}, "200 404 404"},
		"a probability of nearly": {sim.Fault{Probability: 1e-12}, "200 404 404"},
	} {
		t.Run(phrase, func(t *testing.T) {
			c.fault.Kind, c.fault.Status = "status", 500
			if err := w.SetFaults(sim.Faults{REST: []sim.Fault{c.fault}}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range [][2]string{{"GET", "/rooms"}, {"DELETE", "/rooms/x"}, {"POST", "/rooms/x/eject"}} {
				status, _ := w.rest(r[0], r[1], object{"ids": []string{"caller-1"}})
				got = append(got, map[int]string{200: "200", 404: "404", 500: "500"}[status])
			}
			if s := strings.Join(got, " "); s != c.statuses {
				t.Errorf("statuses %s, want %s", s, c.statuses)
			}
		})
	}
}

func TestSameSeedSameLuck(t *testing.T) {
	draw := func(seed int64) string {
		w := start(t, func(c *sim.Config) { c.Seed = seed })
		if err := w.SetFaults(sim.Faults{REST: []sim.Fault{{Kind: "status", Status: 500, Probability: 0.5}}}); err != nil {
			t.Fatal(err)
		}
		luck := ""
		for range 40 {
			status, _ := w.rest("GET", "/rooms", nil)
			luck += map[int]string{200: "+", 500: "-"}[status]
		}
		return luck
	}
	one, again, other := draw(7), draw(7), draw(8)
	if one != again || one == other || !strings.Contains(one, "+") || !strings.Contains(one, "-") {
		t.Fatalf("luck\n%s\n%s\n%s", one, again, other)
	}
}
