// SPDX-License-Identifier: Apache-2.0

package call_test

import (
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
)

func TestANameGivesCallAndAttemptBack(t *testing.T) {
	for _, id := range []string{bus.CallID("domain", "call"), strings.Repeat("a", 26), strings.Repeat("7", 26)} {
		for _, attempt := range []uint32{1, 2, 9, 10, 1000, 999_999_999} {
			room, user := call.RoomName(id, attempt), call.BotID(id, attempt)
			if gotID, got, ok := call.ParseRoom(room); !ok || gotID != id || got != attempt {
				t.Errorf("room %s: %s, %d, %t", room, gotID, got, ok)
			}
			if gotID, got, ok := call.ParseBot(user); !ok || gotID != id || got != attempt {
				t.Errorf("bot %s: %s, %d, %t", user, gotID, got, ok)
			}
			if len(user) > 36 {
				t.Errorf("the user id %s has %d characters", user, len(user))
			}
		}
	}
}

func TestNamesThatAreNotOurs(t *testing.T) {
	id := bus.CallID("domain", "call")
	for phrase, name := range map[string]string{
		"nothing":                    "",
		"the prefix alone":           "tl-",
		"Pipecat's":                  "pipecat-telephony-0a1b2c3d",
		"no attempt":                 "tl-" + id,
		"an empty attempt":           "tl-" + id + "-",
		"attempt 0":                  "tl-" + id + "-0",
		"an attempt with a zero":     "tl-" + id + "-01",
		"an attempt with a sign":     "tl-" + id + "--1",
		"an attempt of ten digits":   "tl-" + id + "-4294967296",
		"an attempt in other digits": "tl-" + id + "-١",
		"a shorter call id":          "tl-" + id[1:] + "-1",
		"a longer call id":           "tl-a" + id + "-1",
		"a call id in capitals":      "tl-" + strings.ToUpper(id) + "-1",
		"a digit that is not base32": "tl-" + id[:25] + "1-1",
		"something behind":           "tl-" + id + "-1-",
		"a line break behind":        "tl-" + id + "-1\n",
		"something before":           " tl-" + id + "-1",
		"the prefix twice":           "tl-tl-" + id + "-1",
	} {
		if gotID, attempt, ok := call.ParseRoom(name); ok || gotID != "" || attempt != 0 {
			t.Errorf("%s, room %q: %q, %d, %t", phrase, name, gotID, attempt, ok)
		}
		if _, _, ok := call.ParseBot(strings.TrimPrefix(name, "tl-")); ok && phrase != "the prefix twice" {
			t.Errorf("%s, bot %q is ours", phrase, name)
		}
	}
	if _, _, ok := call.ParseBot(call.RoomName(id, 1)); ok {
		t.Error("a room's name is a bot's user id")
	}
	if _, _, ok := call.ParseRoom(call.BotID(id, 1)); ok {
		t.Error("a bot's user id is a room's name")
	}
}

func FuzzParseRoom(f *testing.F) {
	f.Add(call.RoomName(bus.CallID("domain", "call"), 1))
	f.Add("tl-")
	f.Fuzz(func(t *testing.T, name string) {
		if id, attempt, ok := call.ParseRoom(name); ok && call.RoomName(id, attempt) != name {
			t.Errorf("%q is read as call %s, attempt %d", name, id, attempt)
		}
	})
}
