// SPDX-License-Identifier: Apache-2.0

package webhooks

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/daily"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Events takes Daily's domain webhook: what happens in any room of the domain. What concerns no call of ours is
// answered with 200 and counted.
func (i *Ingress) Events(w http.ResponseWriter, r *http.Request) {
	q := request{i, "events", w, r}
	body, ok := q.read()
	if !ok {
		return
	}
	event, malformed := daily.ParseEvent(body)
	if malformed == nil && event.Test { // when the webhook is created, signed or not
		q.ok("test")
		return
	}
	if !q.signed(i.events, daily.HeaderWebhookSignature, daily.HeaderWebhookTimestamp, body) {
		return
	}
	if malformed != nil {
		q.refuse(http.StatusBadRequest, "malformed", malformed.Error())
		return
	}
	callID, attempt, ours := call.ParseRoom(event.Room)
	if !ours {
		q.ok("not-ours")
		return
	}
	fact := factOf(event, attempt)
	if fact == nil {
		q.ok("not-read")
		return
	}
	// The look and the write have the configured time together.
	ctx, cancel := context.WithTimeout(r.Context(), i.Config.Ingress.PublishTimeout)
	defer cancel()
	q.r = r.WithContext(ctx)
	known, err := backoff.Retry(ctx, func() (bool, error) { return i.Bus.Known(ctx, callID) })
	if err != nil {
		i.Log.Error("webhook not stored", "webhook", q.kind, "call_id", callID, "err", err)
		q.refuse(http.StatusServiceUnavailable, "unavailable", "the call could not be looked up; send it again")
		return
	}
	if !known { // another installation's on the same domain
		q.ok("not-ours")
		return
	}
	q.store(callID, "daily-webhook "+event.ID, fact)
}

// factOf makes a fact of an event of Daily's, or nil of one that says nothing about a call.
func factOf(e daily.Event, attempt uint32) proto.Message {
	if e.SessionID == "" && e.Type != "dialin.ready" {
		return nil
	}
	at := timestamppb.New(e.At)
	if e.At.IsZero() {
		at = timestamppb.New(time.Now())
	}
	// Of who was dialled, the event tells what we have called them.
	dialled, userID := strings.HasPrefix(e.Type, "dialout."), e.UserID
	switch e.Type {
	case "dialin.ready":
		return &callv1.DialinReady{Attempt: attempt, Room: e.Room, SipEndpoint: e.SIPEndpoint}
	case "dialin.connected", "dialout.connected":
		return &callv1.LegConnected{SessionId: e.SessionID, Room: e.Room, Attempt: attempt, At: at, UserId: userID, Dialled: dialled}
	case "dialout.answered":
		return &callv1.LegAnswered{SessionId: e.SessionID, Room: e.Room, Attempt: attempt, At: at, UserId: userID, Dialled: dialled}
	case "dialin.stopped", "dialout.stopped":
		return &callv1.LegEnded{SessionId: e.SessionID, Room: e.Room, Attempt: attempt, At: at, UserId: userID, Dialled: dialled}
	case "dialin.error", "dialout.error":
		return &callv1.LegFailed{SessionId: e.SessionID, Room: e.Room, Attempt: attempt, Reason: e.ErrorMsg, UserId: userID, Dialled: dialled}
	case "participant.joined":
		return &callv1.ParticipantJoined{SessionId: e.SessionID, Room: e.Room, Attempt: attempt, UserId: e.UserID, Owner: e.Owner}
	case "participant.left":
		return &callv1.ParticipantLeft{SessionId: e.SessionID, Room: e.Room, Attempt: attempt, UserId: e.UserID}
	}
	if state, ok := strings.CutPrefix(e.Type, "calltransfer."); ok {
		if state == "complete" { // as Daily's guide is said to write it
			state = "completed"
		}
		return &callv1.LegTransfer{SessionId: e.SessionID, State: state, Room: e.Room}
	}
	return nil
}
