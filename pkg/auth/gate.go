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

// Gate stands before RPC handlers. It lets a request through whose key has the scope that the RPC names in the contract;
// one that names none is closed to everybody.
type Gate struct {
	Keys *Keys
	// PerSecond is how many requests a key may make in this process, on average. Twice as many may come at once.
	PerSecond int
	// Recheck is how often the key of a stream is looked at again; 0 is every 10 s.
	Recheck time.Duration

	limits sync.Map // of *rate.Limiter, by the key's name: as many as there have been keys
}

// Option puts the gate before a handler. A request that is refused is not even read.
func (g *Gate) Option() connect.HandlerOption {
	return connect.WithHandlerOptions(connect.WithRequestGate(g.enter), connect.WithInterceptors(streams{g}))
}

type caller struct{}

// Caller is the name of the key with which a request was made.
func Caller(ctx context.Context) string {
	name, _ := ctx.Value(caller{}).(string)
	return name
}

func (g *Gate) enter(ctx context.Context, spec connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
	key, err := g.check(ctx, spec, header)
	if err != nil {
		return nil, err
	}
	limit, known := g.limits.Load(key.Name)
	if !known {
		limit, _ = g.limits.LoadOrStore(key.Name, rate.NewLimiter(rate.Limit(g.PerSecond), 2*g.PerSecond))
	}
	if !limit.(*rate.Limiter).Allow() {
		refused := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("key %s has made more than %d requests a second; try again in a second", key.Name, g.PerSecond))
		refused.Meta().Set("Retry-After", "1")
		return nil, refused
	}
	return context.WithValue(ctx, caller{}, key.Name), nil
}

// check finds the key of a request, and whether it is good for the RPC.
func (g *Gate) check(ctx context.Context, spec connect.Spec, header http.Header) (Key, error) {
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Key{}, stranger(errors.New("an API key is needed: send the header Authorization: Bearer KEY; trunkline keys add makes a key"))
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	key, err := g.Keys.Find(ctx, strings.TrimSpace(token))
	switch scope := scopeOf(spec); {
	case errors.Is(err, ErrUnknown):
		return Key{}, stranger(err)
	case err != nil:
		return Key{}, connect.NewError(connect.CodeUnavailable, fmt.Errorf("look up the API key: %w", err))
	case scope == "":
		return Key{}, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%s has no scope in the contract, and is closed", spec.Procedure))
	case !key.May(scope):
		return Key{}, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("key %s lacks the scope %s", key.Name, scope))
	}
	return key, nil
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

// streams ends a stream whose key is no longer good for it. Its handler must end with its context.
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
// without it.
func (g *Gate) watch(ctx context.Context, conn connect.StreamingHandlerConn) error {
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
