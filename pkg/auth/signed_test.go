// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"

	"github.com/trunkline/trunkline/pkg/auth"
	"github.com/trunkline/trunkline/pkg/call"
	"github.com/trunkline/trunkline/pkg/config"
	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/control/v1/controlv1connect"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

const (
	callID  = "abcdefghijklmnopqrstuvwxyz"
	secret  = config.Secret("a secret of this test")
	renewed = config.Secret("the secret after it")
)

func ours(secrets ...config.Secret) *auth.Tokens { return &auth.Tokens{Secrets: secrets} }

func must(t *testing.T) func(string, error) string {
	return func(token string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

// signed is a token of anybody's making.
func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	return must(t)(jwt.NewWithClaims(method, claims).SignedString(key))
}

func TestATokenSpeaksForOneAttemptOrOneService(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	tokens := ours(secret)
	bot, service := must(t)(tokens.SignBot(callID, 2, soon)), must(t)(tokens.SignService("transfer-service"))
	for phrase, reads := range map[string]*auth.Tokens{"the same secret": tokens, "a secret that is on its way out": ours(renewed, secret)} {
		if id, attempt, err := reads.ReadBot(bot); id != callID || attempt != 2 || err != nil {
			t.Errorf("%s: a bot's: %s, %d, %v", phrase, id, attempt, err)
		}
		if name, err := reads.ReadService(service); name != "transfer-service" || err != nil {
			t.Errorf("%s: a service's: %s, %v", phrase, name, err)
		}
	}
	var c jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(service, &c); err != nil || time.Until(c.ExpiresAt.Time) > 5*time.Minute {
		t.Errorf("a service's token lasts until %v, %v", c.ExpiresAt, err)
	}
	key := []byte(secret.Reveal())
	for phrase, token := range map[string]string{
		"nothing":                     "",
		"no token":                    "a.b.c",
		"another secret":              must(t)(ours(renewed).SignBot(callID, 2, soon)),
		"over":                        must(t)(tokens.SignBot(callID, 2, time.Now().Add(-time.Second))),
		"without an end":              signed(t, jwt.SigningMethodHS256, key, jwt.MapClaims{"sub": callID, "aud": []string{"trunkline-gateway", "trunkline-internal"}}),
		"of nobody":                   signed(t, jwt.SigningMethodHS256, key, jwt.MapClaims{"aud": []string{"trunkline-gateway", "trunkline-internal"}, "exp": soon.Unix()}),
		"another audience":            signed(t, jwt.SigningMethodHS256, key, jwt.MapClaims{"sub": callID, "aud": "daily", "exp": soon.Unix()}),
		"another way of signing":      signed(t, jwt.SigningMethodHS512, key, jwt.MapClaims{"sub": callID, "aud": "trunkline-gateway", "exp": soon.Unix()}),
		"not signed":                  signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": callID, "aud": "trunkline-gateway", "exp": soon.Unix()}),
		"signed with an empty secret": signed(t, jwt.SigningMethodHS256, []byte{}, jwt.MapClaims{"sub": callID, "aud": "trunkline-gateway", "exp": soon.Unix()}),
	} {
		for _, reads := range []*auth.Tokens{tokens, ours(), ours("")} {
			if id, attempt, err := reads.ReadBot(token); err == nil || id != "" || attempt != 0 {
				t.Errorf("%s: as a bot's: %s, %d, %v", phrase, id, attempt, err)
			}
			if name, err := reads.ReadService(token); err == nil || name != "" {
				t.Errorf("%s: as a service's: %s, %v", phrase, name, err)
			}
		}
	}
	if id, _, err := tokens.ReadBot(service); err == nil {
		t.Errorf("a service's token is bot %s's", id)
	}
	if name, err := tokens.ReadService(bot); err == nil {
		t.Errorf("a bot's token is service %s's", name)
	}
	for _, none := range []*auth.Tokens{ours(), ours("")} {
		if _, err := none.SignService("a"); err == nil || !strings.Contains(err.Error(), config.EnvTrunklineSecret) {
			t.Errorf("without a secret: %v", err)
		}
	}
}

// transfers tells who asks, and what more he may do.
type transfers struct {
	transferv1connect.UnimplementedTransferServiceHandler
}

func (transfers) RequestTransfer(ctx context.Context, _ *transferv1.RequestTransferRequest) (*transferv1.RequestTransferResponse, error) {
	said := auth.Caller(ctx)
	if id, attempt, ok := auth.Bot(ctx); ok {
		said += " of " + call.BotID(id, attempt)
	}
	if auth.May(ctx, auth.TransfersNumber) {
		said += " to any number"
	}
	return &transferv1.RequestTransferResponse{Transfer: &transferv1.Transfer{RequestedBy: said}}, nil
}

func (service) AdmitLeg(ctx context.Context, _ *controlv1.AdmitLegRequest) (*controlv1.AdmitLegResponse, error) {
	return &controlv1.AdmitLegResponse{Detail: auth.Caller(ctx)}, nil
}

// Each RPC stands for its scope: GetCall for calls:read, StartCall for calls:write, RequestTransfer for transfers:write,
// AdmitLeg for internal.
func TestWhoseTokenPassesWhere(t *testing.T) {
	w := newWorld(t, 1000)
	tokens := ours(secret)
	soon := time.Now().Add(time.Hour)
	bearers := map[string]string{
		"a bot":              must(t)(tokens.SignBot(callID, 2, soon)),
		"a bot of yesterday": must(t)(tokens.SignBot(callID, 2, time.Now().Add(-time.Second))),
		"a service":          must(t)(tokens.SignService("transfer-service")),
		"admin":              w.add("admin", auth.Admin),
		"a key to transfer":  w.add("mover", auth.TransfersWrite),
		"a key to anywhere":  w.add("anywhere", auth.TransfersWrite, auth.TransfersNumber),
	}
	if _, err := w.keys.Add(t.Context(), "insider", auth.Internal); err == nil {
		t.Error("a key was given the scope internal")
	}
	const in, no, denied = connect.Code(0), connect.CodeUnauthenticated, connect.CodePermissionDenied
	type codes struct{ read, write, transfer, internal connect.Code }
	strangers := codes{no, no, no, no}
	for name, gate := range map[string]struct {
		*auth.Gate
		want map[string]codes
	}{
		"without tokens": {&auth.Gate{}, map[string]codes{
			"a bot": strangers, "a service": strangers, "admin": {in, in, in, denied},
		}},
		"without bots": {&auth.Gate{Tokens: tokens}, map[string]codes{
			"a bot": strangers, "a service": {denied, denied, denied, in}, "admin": {in, in, in, denied},
		}},
		"without services": {&auth.Gate{Bots: true}, map[string]codes{"a bot": strangers, "a service": strangers}},
		"with both": {&auth.Gate{Tokens: tokens, Bots: true}, map[string]codes{
			"a bot":              {in, denied, in, denied},
			"a bot of yesterday": strangers,
			"a service":          {denied, denied, denied, in},
			"admin":              {in, in, in, denied},
			"a key to transfer":  {denied, denied, in, denied},
		}},
		"of another secret": {&auth.Gate{Tokens: ours(renewed), Bots: true}, map[string]codes{"a bot": strangers, "a service": strangers}},
	} {
		gate.PerSecond = 1000
		there := w.behind(gate.Gate)
		for who, want := range gate.want {
			for procedure, code := range map[string]connect.Code{
				controlv1connect.CallServiceGetCallProcedure:              want.read,
				controlv1connect.CallServiceStartCallProcedure:            want.write,
				transferv1connect.TransferServiceRequestTransferProcedure: want.transfer,
				controlv1connect.CallServiceAdmitLegProcedure:             want.internal,
			} {
				status, answer := there.post(procedure, "Bearer "+bearers[who])
				if code == in && status != http.StatusOK || code != in && answer.Code != code.String() {
					t.Errorf("a gate %s, %s: %s: %d %s %q, want %s", name, who, procedure, status, answer.Code, answer.Message, code)
				}
			}
		}
	}

	there := w.behind(&auth.Gate{Tokens: tokens, Bots: true, PerSecond: 1000})
	for who, want := range map[string]string{
		"a bot": callID + "-2 of " + callID + "-2", "admin": "admin to any number", "a key to transfer": "mover", "a key to anywhere": "anywhere to any number",
	} {
		res, err := transferv1connect.NewTransferServiceClient(http.DefaultClient, there.url, connect.WithInterceptors(auth.Bearer(bearers[who]))).
			RequestTransfer(t.Context(), &transferv1.RequestTransferRequest{})
		if got := res.GetTransfer().GetRequestedBy(); got != want || err != nil {
			t.Errorf("%s is %q, %v, want %q", who, got, err, want)
		}
	}
}

func TestAServiceSignsEachRequest(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	client := func(tokens *auth.Tokens) controlv1connect.CallServiceClient {
		return controlv1connect.NewCallServiceClient(http.DefaultClient, server.URL, connect.WithInterceptors(auth.ServiceBearer(tokens, "transfer-service")))
	}
	ask := func(tokens *auth.Tokens) (unary, streamed error) {
		_, unary = client(tokens).AdmitLeg(t.Context(), &controlv1.AdmitLegRequest{})
		stream, streamed := client(tokens).WatchCalls(t.Context(), &controlv1.WatchCallsRequest{})
		if streamed == nil {
			stream.Receive()
			streamed = stream.Err()
		}
		return unary, streamed
	}
	tokens := ours(secret)
	_, _ = ask(tokens)
	if len(seen) != 2 {
		t.Fatalf("%d requests", len(seen))
	}
	for _, header := range seen {
		if name, err := tokens.ReadService(strings.TrimPrefix(header, "Bearer ")); name != "transfer-service" || err != nil {
			t.Errorf("%q is %s, %v", header, name, err)
		}
	}
	unary, streamed := ask(ours())
	refused(t, "without a secret", unary, connect.CodeUnauthenticated, config.EnvTrunklineSecret)
	refused(t, "a stream without a secret", streamed, connect.CodeUnauthenticated, config.EnvTrunklineSecret)
	if len(seen) != 2 {
		t.Errorf("%d requests were sent without a token", len(seen)-2)
	}
}

// A bot's stream ends with its token, a service's does not: its token is for the beginning.
func TestStreamsOfTokens(t *testing.T) {
	w := newWorld(t, 1000)
	there := w.behind(&auth.Gate{Tokens: ours(secret), Bots: true, PerSecond: 1000})
	over := time.Now().Add(2 * time.Second).Truncate(time.Second)
	ctx, cancel := context.WithDeadline(t.Context(), over.Add(300*time.Millisecond))
	defer cancel()
	token := signed(t, jwt.SigningMethodHS256, []byte(secret.Reveal()), jwt.MapClaims{"sub": "transfer-service", "aud": "trunkline-internal", "exp": over.Unix()})
	internal, err := connect.NewClient[controlv1.WatchCallsRequest, controlv1.WatchCallsResponse](
		http.DefaultClient, there.url+"/an/InternalStream", connect.WithInterceptors(auth.Bearer(token)),
	).CallServerStream(ctx, connect.NewRequest(&controlv1.WatchCallsRequest{}))
	if err != nil || !internal.Receive() || internal.Msg().GetCursor() != "transfer-service" {
		t.Fatalf("a service's: %v, %v", err, internal.Err())
	}
	bots, err := there.client(must(t)(ours(secret).SignBot(callID, 1, over))).WatchCalls(t.Context(), &controlv1.WatchCallsRequest{})
	if err != nil || !bots.Receive() {
		t.Fatalf("a bot's: %v, %v", err, bots.Err())
	}
	if bots.Receive() || time.Now().Before(over) {
		t.Errorf("a bot's token is over, and its stream is told %v", bots.Msg())
	}
	refused(t, "a bot whose token is over", bots.Err(), connect.CodeUnauthenticated, "no such API key")
	if internal.Receive() || connect.CodeOf(internal.Err()) != connect.CodeDeadlineExceeded {
		t.Errorf("a service's stream ended with %v", internal.Err())
	}
}

func TestEachCallerHasAPaceOfItsOwn(t *testing.T) {
	w := newWorld(t, 1)
	tokens := ours(secret)
	there := w.behind(&auth.Gate{Tokens: tokens, Bots: true, PerSecond: 1})
	soon := time.Now().Add(time.Hour)
	one, two := there.client(must(t)(tokens.SignBot(callID, 1, soon))), there.client(must(t)(tokens.SignBot(callID, 2, soon)))
	namesake := there.client(w.add(callID+"-1", auth.CallsRead))
	var err error
	for n := 0; err == nil; n++ {
		if _, err = one.GetCall(t.Context(), &controlv1.GetCallRequest{}); err != nil && n < 2 || n > 100 {
			t.Fatalf("after %d requests: %v", n, err)
		}
	}
	refused(t, "one too many", err, connect.CodeResourceExhausted, "bot "+callID+"-1 has made more than 1 requests a second")
	for phrase, other := range map[string]controlv1connect.CallServiceClient{"the next attempt's bot": two, "a key of the same name": namesake} {
		if _, err := other.GetCall(t.Context(), &controlv1.GetCallRequest{}); err != nil {
			t.Errorf("%s: %v", phrase, err)
		}
	}
}
