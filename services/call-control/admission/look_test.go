// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/services/call-control/admission"
)

func TestLookTellsWhatEachRuleSaysAndChangesNothing(t *testing.T) {
	w := newWorld(t, admission.Limits{
		Concurrent: 3, PerSecond: 10, PerNumber: 1, Window: 24 * time.Hour,
		Agents: map[string]admission.AgentLimits{"sales": {Concurrent: 1, PerSecond: .5}},
	}, 0)
	look := func(phrase, agent string, want ...admission.Verdict) {
		t.Helper()
		for range 2 {
			got, err := w.one(2).Look(t.Context(), agent, number)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s:\n got %v\nwant %v", phrase, got, want)
			}
		}
	}
	look("nobody has asked", "sales",
		admission.Verdict{Rule: "concurrency", Allowed: true, Detail: "0 of 3"},
		admission.Verdict{Rule: "rate", Allowed: true, Detail: "10 per second"},
		admission.Verdict{Rule: "agent_concurrency", Allowed: true, Detail: "0 of 1"},
		admission.Verdict{Rule: "agent_rate", Allowed: true, Detail: "0.5 per second"},
		admission.Verdict{Rule: "per_number", Allowed: true, Detail: "0 of 1 in 24h0m0s"})

	w.ask(0, "first", "sales", false)
	w.claim(0, "first", 1)
	verdicts, err := w.one(1).Look(t.Context(), "sales", number)
	if err != nil {
		t.Fatal(err)
	}
	for i, allowed := range []bool{true, true, false, false, false} {
		if verdicts[i].Allowed != allowed {
			t.Errorf("%+v", verdicts[i])
		}
	}
	if v := verdicts[4]; v.Detail != "1 of 1 in 24h0m0s" || !v.Until.Equal(epoch.Add(24*time.Hour)) {
		t.Errorf("%+v", v)
	}
	if v := verdicts[3]; !v.Until.After(epoch) || v.Until.After(epoch.Add(2*time.Second)) {
		t.Errorf("%+v", v)
	}

	look("an agent without limits", "support",
		admission.Verdict{Rule: "concurrency", Allowed: true, Detail: "1 of 3"},
		admission.Verdict{Rule: "rate", Allowed: true, Detail: "10 per second"},
		admission.Verdict{Rule: "agent_concurrency", Allowed: true, Detail: "no limit"},
		admission.Verdict{Rule: "agent_rate", Allowed: true, Detail: "no limit"},
		admission.Verdict{Rule: "per_number", Until: epoch.Add(24 * time.Hour), Detail: "1 of 1 in 24h0m0s"})
}

func TestLookTellsOfThoseWhoWait(t *testing.T) {
	w := newWorld(t, admission.Limits{Concurrent: 1}, 0)
	w.ask(0, "first", "support", false)
	again := w.ask(0, "second", "support", false).Again
	w.release(0, "first")
	verdicts, err := w.one(1).Look(t.Context(), "support", number)
	if err != nil {
		t.Fatal(err)
	}
	if v := verdicts[0]; v.Allowed || !v.Until.After(again) || v.Detail != "0 of 1, and others wait" {
		t.Errorf("%+v", v)
	}
}
