// SPDX-License-Identifier: Apache-2.0

package webhooks_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trunkline/trunkline/pkg/app"
	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/config"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// sales and reception are what the routes of the world say.
func sales(c *callv1.CallReceived) *callv1.CallReceived {
	c.Agent, c.Route = "sales", "+14155550199"
	c.AnswerBudget, c.MaxDuration = durationpb.New(time.Minute), durationpb.New(time.Hour)
	return c
}

func reception(c *callv1.CallReceived) *callv1.CallReceived {
	c.Agent = "reception"
	c.AnswerBudget, c.MaxDuration = durationpb.New(2*time.Minute), durationpb.New(3*time.Hour)
	return c
}

func TestACallIsTakenAsItCame(t *testing.T) {
	w := newWorld(t)
	for phrase, c := range map[string]struct {
		fields string // beside callId and callDomain
		want   *callv1.CallReceived
	}{
		"numbers in E.164":              {`"To":"+14155550199","From":"+442079460018"`, sales(&callv1.CallReceived{To: "+14155550199", From: "+442079460018"})},
		"numbers in national form":      {`"To":"(415) 555-0199","From":"415-555-0123"`, sales(&callv1.CallReceived{To: "+14155550199", From: "+14155550123"})},
		"a number that has no route":    {`"To":"+14155550198","From":"+14155550123"`, reception(&callv1.CallReceived{To: "+14155550198", From: "+14155550123"})},
		"an anonymous caller, as null":  {`"To":"+14155550199","From":null`, sales(&callv1.CallReceived{To: "+14155550199"})},
		"an anonymous caller, as empty": {`"To":"+14155550199","From":""`, sales(&callv1.CallReceived{To: "+14155550199"})},
		"an anonymous caller, in words": {`"To":"+14155550199","From":"anonymous"`, sales(&callv1.CallReceived{To: "+14155550199"})},
		"no caller and no number":       {`"other":1`, reception(&callv1.CallReceived{})},
		"SIP URIs":                      {`"To":"sip:static--0@example.sip.daily.co","From":"sip:alice@example.com"`, reception(&callv1.CallReceived{To: "sip:static--0@example.sip.daily.co", From: "sip:alice@example.com"})},
		"bare SIP users":                {`"To":"helpdesk","From":"alice"`, reception(&callv1.CallReceived{To: "helpdesk", From: "alice"})},
		"SIP headers of every kind": {
			`"To":"+14155550199","From":"alice","sipHeaders":{"X-Text":"a b","X-Number":3,"X-Flag":true,"X-List":["a", 1],"X-Null":null}`,
			sales(&callv1.CallReceived{To: "+14155550199", From: "alice", SipHeaders: map[string]string{
				"X-Text": "a b", "X-Number": "3", "X-Flag": "true", "X-List": `["a",1]`, "X-Null": "",
			}}),
		},
		"SIP headers that are none":   {`"To":"+14155550199","sipHeaders":"X-Text: a"`, sales(&callv1.CallReceived{To: "+14155550199"})},
		"fields that nobody knows":    {`"To":"+14155550199","version":2,"sipCallId":"s","extra":{"deep":[1]}`, sales(&callv1.CallReceived{To: "+14155550199"})},
		"white space around the JSON": {" \n\"To\" : \"+14155550199\"\n", sales(&callv1.CallReceived{To: "+14155550199"})},
	} {
		t.Run(phrase, func(t *testing.T) {
			c.want.CallDomain, c.want.DailyCallId = "domain", phrase
			got := w.sendSigned(dialinPath, fmt.Sprintf(`{"callDomain":"domain","callId":%q,%s}`, phrase, c.fields))
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			events := w.story(bus.CallID("domain", phrase))
			if len(events) != 1 || !proto.Equal(events[0].Data, c.want) || events[0].Author != "ingress" {
				t.Errorf("stored %v,\nwant %v", events, c.want)
			}
		})
	}
}

func TestBothPathsTakeTheSameCall(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/start", dialinPath} {
		if got := w.sendSigned(path, aCall); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if events := w.story(bus.CallID("d1", "c1")); len(events) != 1 || w.stored() != 1 {
		t.Errorf("%d events of the call, %d in all", len(events), w.stored())
	}
}

func TestOfTheSameWebhookTwiceAtOnceOneCallComes(t *testing.T) {
	w := newWorld(t)
	const calls = 20
	var group sync.WaitGroup
	for n := range calls {
		body := fmt.Sprintf(`{"To":"+14155550199","From":"+14155550123","callId":"c%d","callDomain":"d"}`, n)
		for range 2 {
			group.Go(func() {
				if got := w.sendSigned(dialinPath, body); got.status != http.StatusOK {
					t.Errorf("call %d: %d %s", n, got.status, got.body)
				}
			})
		}
	}
	group.Wait()
	for n := range calls {
		if events := w.story(bus.CallID("d", fmt.Sprintf("c%d", n))); len(events) != 1 {
			t.Errorf("call %d has %d events", n, len(events))
		}
	}
	if n := w.stored(); n != calls {
		t.Errorf("the stream holds %d messages, want %d", n, calls)
	}
}

func TestWhatIsToldFirstStands(t *testing.T) {
	w := newWorld(t)
	for _, from := range []string{"+14155550123", "+14155550124"} {
		if got := w.sendSigned(dialinPath, fmt.Sprintf(`{"From":%q,"callId":"c","callDomain":"d"}`, from)); got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	events := w.story(bus.CallID("d", "c"))
	if len(events) != 1 || events[0].Data.(*callv1.CallReceived).GetFrom() != "+14155550123" {
		t.Errorf("stored %v", events)
	}
}

func TestAnySecretInUseIsGood(t *testing.T) {
	w := newWorld(t)
	for i := range dialinSecrets {
		body := fmt.Sprintf(`{"callId":"c%d","callDomain":"d"}`, i)
		for _, at := range []string{inSeconds(0), inMillis(0), inSeconds(-4 * time.Minute), inMillis(-4 * time.Minute), inSeconds(4 * time.Minute)} {
			if got := w.send(dialinPath, body, sign(t, dialinPath, dialinSecrets[i], at, body)); got.status != http.StatusOK {
				t.Errorf("dial-in, secret %d at %s: %d %s", i, at, got.status, got.body)
			}
			body := `{"type":"meeting.started","payload":{"room":"somebody else's"}}`
			if got := w.send(eventsPath, body, sign(t, eventsPath, eventsSecrets[i], at, body)); got.status != http.StatusOK {
				t.Errorf("events, secret %d at %s: %d %s", i, at, got.status, got.body)
			}
		}
	}
	if n := w.stored(); n != uint64(len(dialinSecrets)) {
		t.Errorf("the stream holds %d messages, want a call for each secret", n)
	}
}

func TestATestOfDailysChangesNothing(t *testing.T) {
	w := newWorld(t)
	pings := map[string][]string{
		dialinPath: {
			`{"test":"test"}`, `{"Test":"test"}`, `{"test":null}`, `{}`, `{"To":"+14155550199"}`,
			`{"Test":"test","callId":"c1","callDomain":"d1"}`, `{"callId":"","callDomain":null}`,
		},
		eventsPath: {`{"test":"test"}`, `{"Test":"test"}`},
	}
	for path, bodies := range pings {
		for _, body := range bodies {
			for phrase, header := range map[string]func(*testing.T, string, string) map[string]string{
				"not signed": without(append(signatures, timestamps...)...), "signed": genuine, "signed wrong": with("d3Jvbmc=", signatures...),
			} {
				if got := w.send(path, body, header(t, path, body)); got.status != http.StatusOK {
					t.Errorf("%s %s, %s: %d %s", path, body, phrase, got.status, got.body)
				}
			}
		}
	}
	if n := w.stored(); n != 0 {
		t.Errorf("the stream holds %d messages", n)
	}
}

func TestUnsignedWebhooksAreTakenOnlyWhereTheEnvironmentSaysSo(t *testing.T) {
	w := newWorld(t, func(env *app.Env) { env.UnsignedWebhooks, env.Secrets = true, config.Secrets{} })
	if got := w.send(dialinPath, aCall, nil); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if n := w.stored(); n != 1 {
		t.Errorf("the stream holds %d messages", n)
	}
}
