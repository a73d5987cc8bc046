// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden answers anew")

// What Pipecat's REST helper sends, as its own code was seen to send it, and what it is answered. It takes 200 alone for
// success, and needs of a room id, name, api_created, privacy, url, created_at and config.
func TestPipecatsRESTHelperGetsWhatItNeeds(t *testing.T) {
	w := start(t)
	for _, c := range []struct{ name, method, path string }{
		{"dialin_room", "POST", "/rooms"},
		{"dialout_room", "POST", "/rooms"},
		{"transfer_room", "POST", "/rooms"},
		{"token", "POST", "/meeting-tokens"},
		{"found_room", "GET", "/rooms/pipecat-telephony-2ee2ad4d"},
		{"deleted_room", "DELETE", "/rooms/pipecat-telephony-2ee2ad4d"},
		{"missing_room", "GET", "/rooms/pipecat-telephony-2ee2ad4d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body any
			if request, err := os.ReadFile(filepath.Join("testdata", "pipecat", c.name+".request.json")); err == nil {
				body = string(request)
			}
			status, answer := w.rest(c.method, c.path, body)
			if (c.name == "missing_room") != (status != http.StatusOK) {
				t.Errorf("status %d", status)
			}
			steady(w, answer)
			got, err := json.MarshalIndent(answer, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "pipecat", c.name+".answer.json")
			if *update {
				if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(want) {
				t.Errorf("answered\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// steady replaces what differs from run to run, where it is there at all and of the right shape.
func steady(w *world, answer object) {
	for key, is := range map[string]func(string) bool{
		"id":         func(s string) bool { return len(s) == 36 },
		"created_at": func(s string) bool { return strings.HasSuffix(s, "Z") },
		"token":      func(s string) bool { return strings.Count(s, ".") == 2 },
	} {
		if s, ok := answer[key].(string); ok && is(s) {
			answer[key] = "(" + key + ")"
		}
	}
	if s, ok := answer["url"].(string); ok {
		answer["url"] = strings.Replace(s, w.url, "(daily)", 1)
	}
}
