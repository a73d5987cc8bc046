// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON refuses a field that it does not know, where connect's own codec would leave it out: a misspelt not_before
// is a call at once. What is wrong is told with the name of its field.
type strictJSON struct{ name string }

func (c strictJSON) Name() string { return c.name }

func (c strictJSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", message)
	}
	return protojson.Marshal(m)
}

// MarshalStable has one form for one message, which a GET with a cache needs.
func (c strictJSON) MarshalStable(message any) ([]byte, error) {
	data, err := c.Marshal(message)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

func (c strictJSON) IsBinary() bool { return false }

func (c strictJSON) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", message)
	}
	if len(data) == 0 {
		return errors.New("the body is empty; {} is a request without fields")
	}
	err := protojson.Unmarshal(data, m)
	if err == nil {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return fmt.Errorf("the body is not a JSON object: %w", err)
	}
	// protojson tells the place and not the field: each is tried alone.
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		one, failed := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if failed != nil {
			continue
		}
		if err := protojson.Unmarshal(one, m.ProtoReflect().New().Interface()); err != nil {
			text := err.Error()
			if _, after, ok := strings.Cut(text, "): "); ok { // without a place in what nobody has sent
				text = after
			}
			return fmt.Errorf("%s: %s", name, text)
		}
	}
	return err
}
