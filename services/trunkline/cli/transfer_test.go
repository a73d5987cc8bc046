// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

const transferCall = "7cuxie3kyg3vjg2b6difcakphi"

// desk is a transfer-service whose transfer goes as the test says, with a connection that breaks after each change.
type desk struct {
	transferv1connect.UnimplementedTransferServiceHandler
	story []*transferv1.Transfer
	told  int
	asked *transferv1.RequestTransferRequest
}

func (d *desk) RequestTransfer(_ context.Context, req *transferv1.RequestTransferRequest) (*transferv1.RequestTransferResponse, error) {
	if d.asked = req; req.GetTarget() == "moon" {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("target: there is no moon"))
	}
	return &transferv1.RequestTransferResponse{Transfer: d.story[0], Replayed: true}, nil
}

func (d *desk) GetTransfer(_ context.Context, req *transferv1.GetTransferRequest) (*transferv1.GetTransferResponse, error) {
	if req.GetN() > 1 {
		return &transferv1.GetTransferResponse{}, nil
	}
	return &transferv1.GetTransferResponse{Transfer: d.story[len(d.story)-1]}, nil
}

func (d *desk) CancelTransfer(_ context.Context, req *transferv1.CancelTransferRequest) (*transferv1.CancelTransferResponse, error) {
	return &transferv1.CancelTransferResponse{Transfer: &transferv1.Transfer{
		Call: req.GetCall(), N: req.GetN(), State: transferv1.State_STATE_CANCELLED, Reason: "cancelled", Detail: req.GetDetail(),
	}}, nil
}

func (d *desk) WatchTransfer(_ context.Context, _ *transferv1.WatchTransferRequest, to *connect.ServerStream[transferv1.WatchTransferResponse]) error {
	for _, now := range []int{max(d.told-1, 0), d.told} { // as it stands, and a change
		if now == len(d.story) {
			return nil
		}
		if err := to.Send(&transferv1.WatchTransferResponse{Transfer: d.story[now]}); err != nil {
			return err
		}
	}
	d.told++
	return connect.NewError(connect.CodeUnavailable, errors.New("stopping"))
}

func (d *desk) ListTargets(_ context.Context, req *transferv1.ListTargetsRequest) (*transferv1.ListTargetsResponse, error) {
	all := []*transferv1.Target{
		{Name: "supervisor", Description: "whoever is in charge", Modes: []string{"cold", "warm"}, Open: true},
		{Name: "night", Modes: []string{"cold"}, OpensAt: timestamppb.Now()},
	}
	if req.GetCall() != "" {
		all = all[:1]
	}
	return &transferv1.ListTargetsResponse{Targets: all}, nil
}

func TestCallersAreHandedOver(t *testing.T) {
	began := timestamppb.Now()
	at := func(state transferv1.State, revision uint64, legs ...*transferv1.Leg) *transferv1.Transfer {
		return &transferv1.Transfer{
			Call: transferCall, N: 1, Target: "support", Mode: "warm", State: state, Revision: revision, Legs: legs, RequestedBy: "dev", Requested: began,
		}
	}
	missed := &transferv1.Leg{K: 1, To: "+14155550161", State: "missed", Cause: "no_answer"}
	completed := at(transferv1.State_STATE_COMPLETED, 4, missed, &transferv1.Leg{K: 2, To: "+14155550162", State: "answered"})
	failed := at(transferv1.State_STATE_FAILED, 4, missed)
	failed.Reason, failed.Detail, failed.Finished = "no_answer", "nobody was in", began

	for phrase, c := range map[string]struct {
		args   []string
		last   *transferv1.Transfer
		out    []string // in this order
		err    string
		unlike string
	}{
		"a request": {
			[]string{"transfer", transferCall, "--to", "support", "--mode", "warm", "--summary", "s", "--announcement", "a", "--idempotency-key", "k"},
			completed,
			[]string{"call", transferCall, "target", "support", "state", "requested", "replayed", "true"},
			"", "transfer 1 ",
		},
		"a request that is followed": {
			[]string{"transfer", transferCall, "--to", "support", "--watch"},
			completed,
			[]string{"requested", "ringing", "completed", "+14155550161 missed, no_answer", "+14155550162 answered"},
			"", "",
		},
		"one that comes to nothing": {
			[]string{"transfer", transferCall, "--number", "+14155550161", "--watch", "-o", "json"},
			failed,
			[]string{`"state": "STATE_FAILED"`},
			"the transfer was not completed: failed, no_answer: nobody was in", "RINGING",
		},
		"one to nowhere":   {[]string{"transfer", transferCall, "--to", "moon"}, completed, nil, "not_found: target: there is no moon", "call"},
		"one to nobody":    {[]string{"transfer", transferCall}, completed, nil, "at least one of the flags in the group [to number] is required", "call"},
		"one to two":       {[]string{"transfer", transferCall, "--to", "a", "--number", "b"}, completed, nil, "if any flags in the group [to number] are set", "call"},
		"a look":           {[]string{"transfers", "show", transferCall}, failed, []string{"transfer  1", "no_answer: nobody was in", "asked by  dev", "over at", "try 1"}, "", ""},
		"a look as JSON":   {[]string{"transfers", "show", transferCall, "1", "-o", "json"}, completed, []string{`"n": 1`, `"moved": false`}, "", ""},
		"a look at none":   {[]string{"transfers", "show", transferCall, "2"}, completed, nil, "not_found: the call has no such transfer", ""},
		"a look at a word": {[]string{"transfers", "show", transferCall, "last"}, completed, nil, `N: "last" is not the number of a transfer`, ""},
		"a watch":          {[]string{"transfers", "watch", transferCall}, failed, []string{"requested", "ringing", "failed  no_answer: nobody was in"}, "", ""},
		"a watch as JSON":  {[]string{"transfers", "watch", transferCall, "-o", "json"}, failed, []string{"STATE_REQUESTED", "STATE_RINGING", "STATE_FAILED"}, "", ""},
		"a watch as a tea": {[]string{"transfers", "watch", transferCall, "-o", "leaves"}, failed, nil, `-o: "leaves" is neither`, ""},
		"a cancellation":   {[]string{"transfers", "cancel", transferCall, "1", "--detail", "not wanted"}, failed, []string{"cancelled", "cancelled: not wanted"}, "", ""},
		"targets":          {[]string{"targets"}, failed, []string{"supervisor", "cold warm", "yes", "whoever is in charge", "night", "from "}, "", ""},
		"targets of a call": {
			[]string{"targets", "--call", transferCall, "-o", "json"}, failed, []string{`"name": "supervisor"`}, "", "night",
		},
	} {
		t.Run(phrase, func(t *testing.T) {
			t.Parallel()
			d := &desk{story: []*transferv1.Transfer{at(transferv1.State_STATE_REQUESTED, 1), at(transferv1.State_STATE_RINGING, 2, missed), c.last}}
			_, handler := transferv1connect.NewTransferServiceHandler(d)
			server := httptest.NewServer(handler)
			defer server.Close()
			out, err := ask(t, rootCommand(), append(c.args, "--transfers", server.URL, "--key", "key")...)
			if (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			rest := out
			for _, text := range c.out {
				_, after, found := strings.Cut(rest, text)
				if !found {
					t.Fatalf("no %q after the others in\n%s", text, out)
				}
				rest = after
			}
			if c.unlike != "" && strings.Contains(out, c.unlike) {
				t.Errorf("%q in\n%s", c.unlike, out)
			}
			if strings.Contains(phrase, "JSON") && !strings.Contains(phrase, "watch") && !json.Valid([]byte(out)) {
				t.Errorf("not JSON: %s", out)
			}
			if phrase == "a request" && (d.asked.GetMode() != "warm" || d.asked.GetSummary() != "s" || d.asked.GetAnnouncement() != "a" || d.asked.GetIdempotencyKey() != "k") {
				t.Errorf("asked for %v", d.asked)
			}
		})
	}
}
