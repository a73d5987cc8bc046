// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

	"connectrpc.com/connect"
)

// Bearer gives a client's every request the token.
func Bearer(token string) connect.Interceptor {
	return bearer(func() (string, error) { return token, nil })
}

// ServiceBearer gives a client's every request a token of its own, with which the service of that name speaks.
func ServiceBearer(tokens *Tokens, name string) connect.Interceptor {
	return bearer(func() (string, error) { return tokens.SignService(name) })
}

type bearer func() (token string, err error)

func (b bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		token, err := b()
		if err != nil {
			return nil, connect.NewError(connect.CodeUnauthenticated, err)
		}
		req.Header().Set("Authorization", "Bearer "+token)
		return next(ctx, req)
	}
}

func (b bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		token, err := b()
		if err != nil {
			return unsigned{conn, connect.NewError(connect.CodeUnauthenticated, err)}
		}
		conn.RequestHeader().Set("Authorization", "Bearer "+token)
		return conn
	}
}

func (b bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// unsigned is a stream that there is no token for. Nothing is sent, not even a request.
type unsigned struct {
	connect.StreamingClientConn
	err error
}

func (u unsigned) Send(any) error     { return u.err }
func (u unsigned) Receive(any) error  { return u.err }
func (unsigned) CloseRequest() error  { return nil }
func (unsigned) CloseResponse() error { return nil }
