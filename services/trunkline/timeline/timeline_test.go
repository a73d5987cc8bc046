// SPDX-License-Identifier: Apache-2.0

package timeline_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/services/trunkline/timeline"
)

func TestATransferIsTold(t *testing.T) {
	began := time.Unix(1000, 0)
	story := &controlv1.GetCallResponse{Call: &controlv1.Call{Received: timestamppb.New(began)}}
	event := func(name string, m proto.Message) {
		data, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		at := timestamppb.New(began.Add(time.Second))
		story.Events = append(story.Events, &controlv1.Event{Name: name, At: at, Author: "transfer-service", Data: data})
	}
	event("CallReceived", &callv1.CallReceived{From: "+14155550123", To: "+14155550100", Agent: "support", Overflow: "desk"})
	event("TransferRequested.1", &callv1.TransferRequested{
		N: 1, Target: "support", Mode: "warm", RequestedBy: "dev", Summary: "secret", Announcement: "secret", Ends: true, BotLeaves: true,
		Numbers: []*callv1.TransferNumber{{To: "+14155550161"}, {To: "sip:a@b"}},
	})
	event("TransferAnnounced.1", &callv1.TransferAnnounced{N: 1, Late: true})
	event("TransferStarting.1.1", &callv1.TransferStarting{N: 1, K: 1, Room: "tl-1"})
	event("TransferMissed.1.1", &callv1.TransferMissed{N: 1, K: 1, Cause: "no_answer"})
	event("TransferStarted.1.2", &callv1.TransferStarted{N: 1, K: 2, SessionId: "s"})
	event("TransferBriefed.1", &callv1.TransferBriefed{N: 1, Declined: true, Detail: "not now"})
	event("TransferStarting.2.9", &callv1.TransferStarting{N: 2, K: 9})
	event("TransferCompleted.1", &callv1.TransferCompleted{N: 1, K: 2, Moved: true, Told: "answered"})
	event("TransferFailed.2", &callv1.TransferFailed{N: 2, Reason: "no_answer", Detail: "nobody was in"})
	want := []string{
		"agent support, from +14155550123, to +14155550100, overflow desk",
		"to +14155550161 sip:a@b, target support, mode warm, requestedBy dev, else the call ends, the bot leaves",
		"late",
		"to +14155550161, room tl-1",
		"to +14155550161, cause no_answer",
		"to sip:a@b",
		"detail not now, declined",
		"",
		"to sip:a@b, the caller has left the room, told answered",
		"reason no_answer, detail nobody was in",
	}
	var got []string
	timeline.Rows(story, func(cells ...any) { got = append(got, cells[3].(string)) })
	if got = got[1:]; !slices.Equal(got, want) {
		t.Errorf("told\n%q\nwant\n%q", got, want)
	}
}
