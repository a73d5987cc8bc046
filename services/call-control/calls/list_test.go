// SPDX-License-Identifier: Apache-2.0

package calls_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	"github.com/trunkline/trunkline/services/call-control/calls"
)

func TestCallsAreListedByWhatIsAsked(t *testing.T) {
	comes := func(from, to, agent string) *callv1.CallReceived {
		return &callv1.CallReceived{From: from, To: to, Agent: agent}
	}
	v := seen(week, // one a second
		of("a", comes("+14155550101", "+14155550199", "sales")), // 0 s
		of("b", comes("+14155550102", "+14155550199", "night")), // 1 s
		of("c", comes("", "+14155550101", "sales")),             // 2 s
		of("d", comes("+14155550104", "+14155550198", "sales")), // 3 s
		of("a", &callv1.CallEnded{Outcome: callv1.Outcome_OUTCOME_COMPLETED}),
		of("b", &callv1.CallEnded{Outcome: callv1.Outcome_OUTCOME_MISSED}),
		of("c", &callv1.BotReady{Attempt: 1}),
	)
	server := httptest.NewServer(calls.Watched{Keeps: 8}.Handler(nil, v))
	t.Cleanup(server.Close)
	client := controlv1connect.NewCallServiceClient(server.Client(), server.URL)
	at := func(s time.Duration) *timestamppb.Timestamp { return timestamppb.New(noon.Add(s * time.Second)) }
	for phrase, c := range map[string]struct {
		ask  *controlv1.ListCallsRequest
		want []string
	}{
		"everything":              {&controlv1.ListCallsRequest{}, []string{"d", "c", "b", "a"}},
		"a state":                 {&controlv1.ListCallsRequest{State: controlv1.State_STATE_FORWARDING}, []string{"c"}},
		"a state none is in":      {&controlv1.ListCallsRequest{State: controlv1.State_STATE_SCHEDULED}, nil},
		"an agent":                {&controlv1.ListCallsRequest{Agent: "sales"}, []string{"d", "c", "a"}},
		"an agent nobody knows":   {&controlv1.ListCallsRequest{Agent: "sale"}, nil},
		"a number, either end":    {&controlv1.ListCallsRequest{Number: "+14155550101"}, []string{"c", "a"}},
		"a part of a number":      {&controlv1.ListCallsRequest{Number: "+1415555"}, nil},
		"an outcome":              {&controlv1.ListCallsRequest{Outcome: callv1.Outcome_OUTCOME_MISSED}, []string{"b"}},
		"since, that moment too":  {&controlv1.ListCallsRequest{Since: at(2)}, []string{"d", "c"}},
		"until, that moment not":  {&controlv1.ListCallsRequest{Until: at(2)}, []string{"b", "a"}},
		"a time between":          {&controlv1.ListCallsRequest{Since: at(1), Until: at(3)}, []string{"c", "b"}},
		"the beginning of time":   {&controlv1.ListCallsRequest{Until: &timestamppb.Timestamp{}}, nil},
		"several things together": {&controlv1.ListCallsRequest{Agent: "sales", State: controlv1.State_STATE_ENDED, Number: "+14155550199"}, []string{"a"}},
		"things that exclude":     {&controlv1.ListCallsRequest{Agent: "night", Outcome: callv1.Outcome_OUTCOME_COMPLETED}, nil},
	} {
		for _, size := range []int32{0, 1} {
			var got []string
			c.ask.PageSize, c.ask.PageToken = size, ""
			for pages := 0; pages < 10; pages++ {
				res, err := client.ListCalls(t.Context(), c.ask)
				if err != nil {
					t.Fatalf("%s: %v", phrase, err)
				}
				got, c.ask.PageToken = append(got, ids(res.GetCalls())...), res.GetNextPageToken()
				if c.ask.PageToken == "" {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d a page: %v, want %v", phrase, size, got, c.want)
			}
		}
	}
	for field, ask := range map[string]*controlv1.ListCallsRequest{
		"since": {Since: &timestamppb.Timestamp{Nanos: -1}},
		"until": {Until: &timestamppb.Timestamp{Seconds: 1 << 50}},
	} {
		if _, err := client.ListCalls(t.Context(), ask); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("a wrong %s: %v", field, err)
		}
	}
}
