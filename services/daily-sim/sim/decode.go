// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
)

// decode reads the JSON object of a control or join request, strictly; the error names the field.
func decode(w http.ResponseWriter, r *http.Request, into any) *apiError {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return invalid("cannot read the request body: %v", err)
	}
	if len(raw) == 0 {
		return nil
	}
	if !json.Valid(raw) {
		return &apiError{Status: http.StatusBadRequest, Code: "json-parsing-error", Info: "the request body is not JSON"}
	}
	if err := strictly(raw, into); err != nil {
		return invalid("%s", explain(raw, into, err))
	}
	return nil
}

func strictly(raw []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// explain finds the field that err is about: errors of text values do not tell.
func explain(raw []byte, into any, err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return "the request body must be a JSON object, not " + wrong.Value
		}
		return wrong.Field + ": must not be a JSON " + wrong.Value
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || strings.HasPrefix(text, "unknown field") {
		return text
	}
	for name, value := range fields {
		one, err := json.Marshal(map[string]json.RawMessage{name: value})
		if err != nil {
			continue
		}
		if strictly(one, reflect.New(reflect.TypeOf(into).Elem()).Interface()) != nil {
			return name + ": " + text
		}
	}
	return text
}
