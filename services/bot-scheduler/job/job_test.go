// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/trunkline/trunkline/services/bot-scheduler/job"
)

// A stock Pipecat bot reads these very keys, with these capitals: From and To, and snake case for the rest. What it
// cannot validate it ignores, and its caller holds for ever.
func TestTheJobIsWhatAStockBotReads(t *testing.T) {
	from := "+14155550123"
	dialIn := func(from *string) job.Body {
		return job.Body{DialinSettings: &job.DialinSettings{
			CallID: "call", CallDomain: "domain", From: from, To: "+14155550100", SIPHeaders: map[string]string{"X-Account": "42"},
		}}
	}
	dialOut := func(settings any) job.Body {
		return job.Body{DialoutSettings: settings, Trunkline: job.Trunkline{
			To: "+14155550123", Metadata: map[string]any{"customer": map[string]any{"id": 4711, "vip": true}, "order": "1234"},
		}}
	}
	for name, body := range map[string]job.Body{
		"job.json":       dialIn(&from),
		"anonymous.json": dialIn(nil),
		"bridge.json":    {DialinSettings: dialIn(&from).DialinSettings, Trunkline: job.Trunkline{Resumed: true, Bridge: true, TransferURL: "http://127.0.0.1:8083"}},
		"dialout.json":   dialOut(nil),
		// For a bot that dials by itself, as Pipecat's examples do and as Pipecat Cloud documents it.
		"bot-dials.json":        dialOut(job.DialoutSettings{PhoneNumber: "+14155550123", CallerID: "0f0e0d0c-0000-4000-8000-000000000001"}),
		"bot-dials-listed.json": dialOut([]job.DialoutListed{{PhoneNumber: "+14155550123", CallerID: "0f0e0d0c-0000-4000-8000-000000000001"}}),
	} {
		t.Run(name, func(t *testing.T) {
			body.DailyAPIKey, body.DailyAPIURL = "gateway-token", "http://127.0.0.1:8081/v1"
			ours := &body.Trunkline
			ours.URL, ours.Token, ours.CallID, ours.Attempt, ours.Agent = body.DailyAPIURL, body.DailyAPIKey, "abc", 1, "support"
			got, err := json.MarshalIndent(job.Job{
				RoomURL: "https://example.daily.co/tl-abc-1", Token: "meeting-token", SessionID: "abc-1", Body: body,
			}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(want) {
				t.Errorf("the job is\n%s\nwant\n%s", got, want)
			}
		})
	}
}
