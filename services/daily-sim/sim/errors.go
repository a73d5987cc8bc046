// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net/http"
)

// apiError is an error as Daily words it: callers may branch on Status and Code, Info is for people.
type apiError struct {
	Status int            `json:"-"`
	Code   string         `json:"error"`
	Info   string         `json:"info,omitempty"`
	Extra  map[string]any `json:"-"`
}

func (e *apiError) Error() string { return e.Code + ": " + e.Info }

func (e *apiError) body() map[string]any {
	m := map[string]any{"error": e.Code}
	if e.Info != "" {
		m["info"] = e.Info
	}
	for k, v := range e.Extra {
		m[k] = v
	}
	return m
}

func invalid(format string, args ...any) *apiError {
	return &apiError{Status: http.StatusBadRequest, Code: "invalid-request-error", Info: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *apiError {
	return &apiError{Status: http.StatusNotFound, Code: "not-found", Info: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) *apiError {
	return &apiError{Status: http.StatusForbidden, Code: "forbidden-error", Info: fmt.Sprintf(format, args...)}
}

// errorFor is the body that goes with a bare status.
func errorFor(status int) *apiError {
	code := "invalid-request-error"
	switch {
	case status == http.StatusUnauthorized:
		code = "authentication-error"
	case status == http.StatusForbidden:
		code = "forbidden-error"
	case status == http.StatusNotFound:
		code = "not-found"
	case status == http.StatusTooManyRequests:
		code = "rate-limit-error"
	case status >= 500:
		code = "server-error"
	}
	return &apiError{Status: status, Code: code}
}
