// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

const (
	// askTimeout is how long the broker may take to say what a key is good for.
	askTimeout = 2 * time.Second
	recheck    = 10 * time.Second
)

// mostLimits bounds the callers whose pace is remembered: bots come and go. Who has not asked for as long as it takes so many
// others to ask begins anew.
const mostLimits = 10_000

// Gate stands before RPC handlers. It lets a request through of who has the scope that the RPC names in the contract;
// one that names none is closed to everybody.
type Gate struct {
	Keys *Keys
	// Tokens lets in Trunkline's own services, for what is internal. Without it only API keys are good for anything.
	Tokens *Tokens
	// Bots has Tokens let in bots as well, for transfers:write and calls:read. The handlers must see to it that a bot has to
	// do with its own call alone.
	Bots bool
	// PerSecond is how many requests each caller may make in this process, on average. Twice as many may come at once.
	PerSecond int
	// Recheck is how often the key or token of a stream is looked at again; 0 is every 10 s.
	Recheck time.Duration

	once   sync.Once
	limits *lru.Cache[string, *rate.Limiter] // by who asks
}

// Option puts the gate before a handler. A request that is refused is not even read.
func (g *Gate) Option() connect.HandlerOption {
	return connect.WithHandlerOptions(connect.WithRequestGate(g.enter), connect.WithInterceptors(streams{g}))
}

func (g *Gate) enter(ctx context.Context, spec connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
	w, err := g.check(ctx, spec, header)
	if err != nil {
		return nil, err
	}
	if !g.limit(w).Allow() {
		refused := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%s has made more than %d requests a second; try again in a second", w, g.PerSecond))
		refused.Meta().Set("Retry-After", "1")
		return nil, refused
	}
	return context.WithValue(ctx, whoKey{}, w), nil
}

func (g *Gate) limit(w who) *rate.Limiter {
	g.once.Do(func() { g.limits, _ = lru.New[string, *rate.Limiter](mostLimits) }) // fails for a size of 0 alone
	name := w.String()
	if limit, known := g.limits.Get(name); known {
		return limit
	}
	limit := rate.NewLimiter(rate.Limit(g.PerSecond), 2*g.PerSecond)
	if first, known, _ := g.limits.PeekOrAdd(name, limit); known {
		return first
	}
	return limit
}

// check finds who makes a request, and whether the RPC is open to him.
func (g *Gate) check(ctx context.Context, spec connect.Spec, header http.Header) (who, error) {
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return who{}, stranger(errors.New("an API key is needed: send the header Authorization: Bearer KEY; trunkline keys add makes a key"))
	}
	w, err := g.find(ctx, strings.TrimSpace(token))
	switch scope := scopeOf(spec); {
	case errors.Is(err, ErrUnknown):
		return who{}, stranger(err)
	case err != nil:
		return who{}, connect.NewError(connect.CodeUnavailable, fmt.Errorf("look up the API key: %w", err))
	case scope == "":
		return who{}, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s has no scope in the contract, and is closed", spec.Procedure))
	case !w.may(scope):
		return who{}, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s lacks the scope %s", w, scope))
	}
	return w, nil
}

// find gives who has a token; nobody is [ErrUnknown].
func (g *Gate) find(ctx context.Context, token string) (who, error) {
	if g.Tokens != nil && !strings.HasPrefix(token, prefix) {
		if g.Bots {
			if callID, attempt, err := g.Tokens.ReadBot(token); err == nil {
				return bot(callID, attempt), nil
			}
		}
		if name, err := g.Tokens.ReadService(token); err == nil {
			return who{kind: aService, name: name}, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	key, err := g.Keys.Find(ctx, token)
	return who{kind: aKey, name: key.Name, key: key}, err
}

// scopeOf gives the scope that the contract asks for, or none.
func scopeOf(spec connect.Spec) string {
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return ""
	}
	scope, _ := proto.GetExtension(method.Options(), controlv1.E_Scope).(string)
	return scope
}

func stranger(err error) error {
	refused := connect.NewError(connect.CodeUnauthenticated, err)
	refused.Meta().Set("WWW-Authenticate", "Bearer")
	return refused
}

// streams ends a stream whose key or token is no longer good for it. Its handler must end with its context.
type streams struct{ *Gate }

func (s streams) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return next }

func (s streams) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (s streams) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, end := context.WithCancelCause(ctx)
		var watch sync.WaitGroup
		watch.Go(func() { end(s.watch(ctx, conn)) })
		err := next(ctx, conn)
		end(nil)
		watch.Wait()
		if refused := context.Cause(ctx); refusal(refused) {
			return refused
		}
		return err
	}
}

// watch gives the refusal as soon as there is one. That the broker cannot be asked is none: a stream tells nothing new
// without it. A service's token is for the beginning: it expires before a stream does.
func (g *Gate) watch(ctx context.Context, conn connect.StreamingHandlerConn) error {
	if whoIn(ctx).kind == aService {
		<-ctx.Done()
		return nil
	}
	every := g.Recheck
	if every == 0 {
		every = recheck
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := g.check(ctx, conn.Spec(), conn.RequestHeader()); refusal(err) {
			return err
		}
	}
}

func refusal(err error) bool {
	var refused *connect.Error
	return errors.As(err, &refused) && (refused.Code() == connect.CodeUnauthenticated || refused.Code() == connect.CodePermissionDenied)
}
