// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"testing"
	"time"

	"github.com/trunkline/trunkline/pkg/daily"
	"github.com/trunkline/trunkline/services/daily-sim/sim"
)

func TestCallFromTheFirstRingToTheHangup(t *testing.T) {
	w := start(t)
	before := time.Now()
	id := w.ring(sim.CallSpec{From: "+15551230000", SIPHeaders: map[string]string{"X-Campaign": "spring"}})

	ring := w.hook.until("/dialin", 1, nil)[0]
	if ring.object["callId"] != id || ring.object["From"] != "+15551230000" || ring.object["To"] != number ||
		ring.object["callDomain"] != sim.Defaults().CallDomain || ring.object["sipHeaders"].(object)["X-Campaign"] != "spring" {
		t.Fatalf("dial-in webhook %s", ring.body)
	}
	signature, err := daily.Sign(secret, ring.header.Get(daily.HeaderPinlessTimestamp), ring.body)
	if err != nil || signature != ring.header.Get(daily.HeaderPinlessSignature) {
		t.Fatalf("signature %q, want %q (%v)", ring.header.Get(daily.HeaderPinlessSignature), signature, err)
	}

	url, endpoint := w.room("call-1", nil)
	bot := w.bot(url)
	ready := bot.wait("dialin-ready")
	if ready["sipEndpoint"] != "sip:"+endpoint {
		t.Fatalf("dialin-ready %v, want endpoint %s", ready, endpoint)
	}
	if status, answer := w.forward(id, endpoint); status != 200 || answer["ok"] != true {
		t.Fatalf("forward: %d %v", status, answer)
	}
	leg := bot.wait("dialin-connected")["sessionId"]
	c := w.untilState(id, sim.Connected)
	if c.Legs != 1 || c.Live != 1 || c.Rooms[0] != "call-1" || c.Held <= 0 || c.Held.Std() > time.Since(before) {
		t.Fatalf("connected call %+v", c)
	}
	joined := w.hook.event("dialin.connected").payload()
	if joined["session_id"] != leg || joined["room"] != "call-1" || joined["sip_from"] != "+15551230000" ||
		joined["display_name"] != "caller" || joined["callId"] != nil {
		t.Fatalf("dialin.connected %v", joined)
	}
	if err := w.Hangup(id); err != nil {
		t.Fatal(err)
	}
	if stopped := bot.wait("dialin-stopped"); stopped["sessionId"] != leg {
		t.Fatalf("dialin-stopped %v", stopped)
	}
	bot.leave()
	for _, kind := range []string{"meeting.started", "participant.joined", "dialin.ready", "dialin.stopped", "participant.left", "meeting.ended"} {
		w.hook.event(kind)
	}
	if c := w.untilState(id, sim.Ended); c.Why != "hung-up" || c.Live != 0 || c.Alone != 0 || len(c.Webhooks) != 1 || c.Webhooks[0].Status != 200 {
		t.Fatalf("ended call %+v", c)
	}
}
