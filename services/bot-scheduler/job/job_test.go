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
	for name, from := range map[string]*string{"job.json": &from, "anonymous.json": nil} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(job.Job{
				RoomURL: "https://example.daily.co/tl-abc-1", Token: "meeting-token", SessionID: "abc-1",
				Body: job.Body{
					DialinSettings: &job.DialinSettings{
						CallID: "call", CallDomain: "domain", From: from, To: "+14155550100", SIPHeaders: map[string]string{"X-Account": "42"},
					},
					DailyAPIKey: "gateway-token", DailyAPIURL: "http://127.0.0.1:8081/v1",
					Trunkline: job.Trunkline{URL: "http://127.0.0.1:8081/v1", Token: "gateway-token", CallID: "abc", Attempt: 1, Agent: "support"},
				},
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
