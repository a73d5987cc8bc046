// SPDX-License-Identifier: Apache-2.0

package daily

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// ErrNotJSON means that a body is not a JSON object.
var ErrNotJSON = errors.New("daily: body is not a JSON object")

// fields is a JSON object read one field at a time, so that one of an unexpected type costs that field and not the rest:
// Daily's documentation and its samples disagree on some.
type fields map[string]json.RawMessage

func parseFields(body []byte) (fields, error) {
	var f fields
	if json.Unmarshal(body, &f) != nil || f == nil {
		return nil, ErrNotJSON
	}
	return f, nil
}

func (f fields) has(key string) bool { _, ok := f[key]; return ok }

// text is the first of the keys that has a value. What is not a string becomes its JSON text; null and absent are "".
func (f fields) text(keys ...string) string {
	for _, key := range keys {
		if s := text(f[key]); s != "" {
			return s
		}
	}
	return ""
}

func text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil { // null leaves s empty
		return s
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return ""
	}
	return strings.ToValidUTF8(compact.String(), "\uFFFD")
}

func (f fields) flag(key string) bool { return f.text(key) == "true" }

// object is empty unless the field is an object.
func (f fields) object(key string) fields {
	o, _ := parseFields(f[key])
	return o
}

// texts is an object's fields as text; nil if it is none or empty.
func (f fields) texts(key string) map[string]string {
	o := f.object(key)
	if len(o) == 0 {
		return nil
	}
	m := make(map[string]string, len(o))
	for k, raw := range o {
		m[k] = text(raw)
	}
	return m
}

// time reads unix seconds or milliseconds, as a number or a string; zero if it cannot.
func (f fields) time(key string) time.Time {
	t, err := parseUnix(f.text(key))
	if err != nil {
		return time.Time{}
	}
	return t
}
