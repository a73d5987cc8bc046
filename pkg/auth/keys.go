// SPDX-License-Identifier: Apache-2.0

// Package auth lets in who has an API key, and no further than the key's scopes go. What is stored of a key does not
// let anybody in. Bots and Trunkline's own services have signed tokens instead, which are good for little.
package auth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is the key-value bucket of the API keys, by their names. Who can write to it can let anybody in.
var Bucket = jetstream.KeyValueConfig{Bucket: "keys", Description: "API keys: their scopes, and hashes of their secrets", History: 1}

// The scopes: what a key is good for. An RPC names the one that it needs in the contract.
const (
	CallsRead      = "calls:read"
	CallsWrite     = "calls:write"
	TransfersWrite = "transfers:write"
	// TransfersNumber lets callers be handed over to any number, and not to configured targets alone.
	TransfersNumber = "transfers:number"
	Admin           = "admin" // everything but Internal
	// Internal is for Trunkline's own services, and no key has it.
	Internal = "internal"
)

// Scopes gives all scopes that a key can have.
func Scopes() []string {
	return []string{CallsRead, CallsWrite, TransfersWrite, TransfersNumber, Admin}
}

// ErrExists is returned for the name of a key that is there already.
var ErrExists = errors.New("there is a key of that name already")

// ErrUnknown is returned for a key that is not there, or not any more.
var ErrUnknown = errors.New("there is no such API key, or no longer")

// Key is what may be known of an API key.
type Key struct {
	Name    string    `json:"name"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
}

// May reports whether the key has a scope.
func (k Key) May(scope string) bool {
	return scope != Internal && (slices.Contains(k.Scopes, scope) || slices.Contains(k.Scopes, Admin))
}

// stored is a key as it is kept.
type stored struct {
	Key
	Hash []byte `json:"hash"`
}

// Keys is a process's access to the keys.
type Keys struct{ kv jetstream.KeyValue }

// Open opens the bucket.
func Open(ctx context.Context, js jetstream.JetStream) (*Keys, error) {
	kv, err := js.KeyValue(ctx, Bucket.Bucket)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket.Bucket, err)
	}
	return &Keys{kv}, nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Add makes a key and gives its token, which nobody can find out again.
func (k *Keys) Add(ctx context.Context, name string, scopes ...string) (token string, err error) {
	if !nameForm.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a key: it has 1 to 64 of A-Z, a-z, 0-9, _ and -", name)
	}
	if len(scopes) == 0 {
		return "", fmt.Errorf("key %s: give it a scope; there are %s", name, strings.Join(Scopes(), ", "))
	}
	for _, scope := range scopes {
		if !slices.Contains(Scopes(), scope) {
			return "", fmt.Errorf("key %s: there is no scope %q; there are %s", name, scope, strings.Join(Scopes(), ", "))
		}
	}
	token, hash := newToken(name)
	data, err := json.Marshal(stored{Key{name, scopes, time.Now().UTC().Truncate(time.Second)}, hash})
	if err != nil {
		return "", err
	}
	switch _, err := k.kv.Create(ctx, name, data); {
	case errors.Is(err, jetstream.ErrKeyExists):
		return "", fmt.Errorf("key %s: %w", name, ErrExists)
	case err != nil:
		return "", fmt.Errorf("key %s: %w", name, err)
	}
	return token, nil
}

// Revoke takes a key back. It lets nobody in from now on, and streams that it has begun end soon.
func (k *Keys) Revoke(ctx context.Context, name string) error {
	if _, err := k.get(ctx, name); err != nil {
		return fmt.Errorf("key %s: %w", name, err)
	}
	if err := k.kv.Delete(ctx, name); err != nil {
		return fmt.Errorf("key %s: %w", name, err)
	}
	return nil
}

// List gives all keys, by name.
func (k *Keys) List(ctx context.Context) ([]Key, error) {
	names, err := k.kv.Keys(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	slices.Sort(names)
	all := make([]Key, 0, len(names))
	for _, name := range names {
		switch key, err := k.get(ctx, name); {
		case err == nil:
			all = append(all, key.Key)
		case !errors.Is(err, ErrUnknown): // it may have been revoked meanwhile
			return nil, fmt.Errorf("key %s: %w", name, err)
		}
	}
	return all, nil
}

// Find gives the key of a token. It is looked up each time: a key that was revoked a moment ago is [ErrUnknown].
func (k *Keys) Find(ctx context.Context, token string) (Key, error) {
	name, hash, ok := readToken(token)
	if !ok {
		return Key{}, ErrUnknown
	}
	have, err := k.get(ctx, name)
	if err != nil {
		return Key{}, err
	}
	if subtle.ConstantTimeCompare(have.Hash, hash) == 0 {
		return Key{}, ErrUnknown
	}
	return have.Key, nil
}

func (k *Keys) get(ctx context.Context, name string) (s stored, err error) {
	if !nameForm.MatchString(name) {
		return s, ErrUnknown
	}
	entry, err := k.kv.Get(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return s, ErrUnknown
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(entry.Value(), &s)
}
