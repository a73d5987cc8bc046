// SPDX-License-Identifier: Apache-2.0

package webhooks

import (
	"net/http"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/pkg/phone"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// Dialin takes the webhook with which Daily announces a caller that it holds. The same call announced twice is one
// call.
func (i *Ingress) Dialin(w http.ResponseWriter, r *http.Request) {
	q := request{i, "dialin", w, r}
	body, ok := q.read()
	if !ok {
		return
	}
	dialin, malformed := daily.ParseDialin(body)
	if malformed == nil && dialin.Test { // when a number is configured, signed or not
		q.ok("test")
		return
	}
	if !q.signed(i.dialin, daily.HeaderPinlessSignature, daily.HeaderPinlessTimestamp, body) {
		return
	}
	if malformed != nil {
		q.refuse(http.StatusBadRequest, "malformed", malformed.Error())
		return
	}
	// A party that is no number and no SIP URI is kept as it came: SIP interconnect gives bare users.
	from, _ := phone.Normalize(dialin.From, i.Config.Region)
	to, _ := phone.Normalize(dialin.To, i.Config.Region)
	route := i.Config.Route(to, from)
	if i.Config.PublicURL == "" { // nobody would tell that the person has answered
		route.Overflow = ""
	}
	q.store(bus.CallID(dialin.CallDomain, dialin.CallID), "daily-dialin-webhook", &callv1.CallReceived{
		CallDomain: dialin.CallDomain, DailyCallId: dialin.CallID, From: from, To: to, SipHeaders: dialin.SIPHeaders,
		Agent: route.Agent, Route: route.Number,
		AnswerBudget: durationpb.New(route.AnswerBudget), MaxDuration: durationpb.New(route.MaxDuration),
		Overflow: route.Overflow,
	})
}
