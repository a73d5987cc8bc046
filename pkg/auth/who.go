// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

	"github.com/trunkline/trunkline/pkg/call"
)

type kind string

const (
	aKey     kind = "key"
	aBot     kind = "bot"
	aService kind = "service"
)

// who makes a request.
type who struct {
	kind    kind
	name    string
	key     Key    // of a key
	callID  string // of a bot
	attempt uint32
}

func bot(callID string, attempt uint32) who {
	return who{kind: aBot, name: call.BotID(callID, attempt), callID: callID, attempt: attempt}
}

func (w who) String() string { return string(w.kind) + " " + w.name }

// may reports what each is good for. Of a bot it is what it may do for its own call, which the handler has to see to.
func (w who) may(scope string) bool {
	switch w.kind {
	case aKey:
		return w.key.May(scope)
	case aBot:
		return scope == TransfersWrite || scope == CallsRead
	case aService:
		return scope == Internal
	}
	return false
}

type whoKey struct{}

func whoIn(ctx context.Context) who {
	w, _ := ctx.Value(whoKey{}).(who)
	return w
}

// Caller is the name of who made a request: of the API key, the bot's id, or the service's name.
func Caller(ctx context.Context) string { return whoIn(ctx).name }

// Bot gives the call and the attempt of the bot that made a request. It is not ok if somebody else did. Whether the attempt
// is the current one, and the request about this call, is for the handler to check.
func Bot(ctx context.Context) (callID string, attempt uint32, ok bool) {
	w := whoIn(ctx)
	return w.callID, w.attempt, w.kind == aBot
}

// May reports whether who made a request has a scope besides the one that the RPC asks for.
func May(ctx context.Context, scope string) bool { return whoIn(ctx).may(scope) }
