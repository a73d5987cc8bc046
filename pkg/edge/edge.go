// SPDX-License-Identifier: Apache-2.0

// Package edge is what every RPC handler has around it.
package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/validate"
	"google.golang.org/protobuf/proto"

	"github.com/trunkline/trunkline/pkg/auth"
)

// maxRequest bounds a request, in bytes.
const maxRequest = 256 << 10

// Options has a handler see only requests that the gate has let through, of a bearable size and as the contract wants
// them. If it panics, the caller is told no more than that, and the log the rest.
func Options(gate *auth.Gate, log *slog.Logger) connect.HandlerOption {
	return connect.WithHandlerOptions(
		gate.Option(),
		connect.WithReadMaxBytes(maxRequest),
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, what any) error {
			log.Error("an RPC has panicked", "procedure", spec.Procedure, "panic", what, "stack", string(debug.Stack()))
			return connect.NewError(connect.CodeInternal, errors.New("internal error; the log tells more"))
		}),
		connect.WithInterceptors(validate.NewInterceptor(validate.WithValidator(plain{protovalidate.GlobalValidator}))),
	)
}

// Handle serves an RPC service, and tells who asks what it has. That needs no key: it is the contract, which is public.
func Handle(mux *http.ServeMux, name, path string, handler http.Handler) {
	mux.Handle(path, handler)
	reflector := grpcreflect.NewStaticReflector(name)
	mux.Handle(grpcreflect.NewHandlerV1(reflector))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))
}

// plain has the text of an error begin with the field, as in "to: does not match…", for those who see the text alone.
type plain struct{ protovalidate.Validator }

func (p plain) Validate(m proto.Message, options ...protovalidate.ValidationOption) error {
	err := p.Validator.Validate(m, options...)
	var wrong *protovalidate.ValidationError
	if errors.As(err, &wrong) {
		return wrongFields{wrong}
	}
	return err
}

type wrongFields struct{ *protovalidate.ValidationError }

func (w wrongFields) Error() string {
	texts := make([]string, len(w.Violations))
	for i, v := range w.Violations {
		texts[i] = v.String()
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets the error's details through.
func (w wrongFields) Unwrap() error { return w.ValidationError }
