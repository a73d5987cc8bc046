// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/bus"
)

// dials are those of one number: when each was claimed.
type dials map[string]time.Time

// numberKey names a number without telling it.
func numberKey(number string) string {
	sum := sha256.Sum256([]byte(number))
	return "number." + hex.EncodeToString(sum[:16])
}

func dial(callID string, attempt uint32) string { return fmt.Sprintf("%s.%d", callID, attempt) }

// forget drops the dials that no longer count.
func (d dials) forget(now time.Time, window time.Duration) {
	maps.DeleteFunc(d, func(_ string, at time.Time) bool { return !at.Add(window).After(now) })
}

// until is when another dial would be within the limit, or zero if one is now.
func (d dials) until(limit int, window time.Duration) time.Time {
	if len(d) < limit {
		return time.Time{}
	}
	return slices.SortedFunc(maps.Values(d), time.Time.Compare)[len(d)-limit].Add(window)
}

func (a *Admission) anyNumber() bool { return a.limits.PerNumber <= 0 || a.limits.Window <= 0 }

// Claim counts a dial of a number: it is within the limit, or it is not counted, and there is no use in asking again
// before the time given. A dial claimed again is the same claim.
func (a *Admission) Claim(ctx context.Context, number, callID string, attempt uint32) (ok bool, until time.Time, err error) {
	if a.anyNumber() {
		return true, time.Time{}, nil
	}
	err = a.changeDials(ctx, number, func(d dials, now time.Time) {
		name := dial(callID, attempt)
		if _, ok = d[name]; ok {
			until = time.Time{}
		} else if until = d.until(a.limits.PerNumber, a.limits.Window); until.IsZero() {
			d[name], ok = now, true
		}
	})
	if err != nil {
		return false, time.Time{}, fmt.Errorf("claim a dial of call %s: %w", callID, err)
	}
	return ok, until, nil
}

// Unclaim takes a claim back: nobody was dialled. To take back none is no error.
func (a *Admission) Unclaim(ctx context.Context, number, callID string, attempt uint32) error {
	if a.anyNumber() {
		return nil
	}
	err := a.changeDials(ctx, number, func(d dials, _ time.Time) { delete(d, dial(callID, attempt)) })
	if err != nil {
		return fmt.Errorf("take back a dial of call %s: %w", callID, err)
	}
	return nil
}

// changeDials changes the dials of a number, as write does the turns. They are kept for as long as they may count.
func (a *Admission) changeDials(ctx context.Context, number string, f func(dials, time.Time)) error {
	a.dials.Lock()
	defer a.dials.Unlock()
	key, ttl := numberKey(number), (a.limits.Window + time.Minute).Truncate(time.Second)
	for {
		d, revision, err := a.readDials(ctx, key)
		if err != nil {
			return err
		}
		now := a.now()
		d.forget(now, a.limits.Window)
		f(d, now)
		data, err := json.Marshal(d)
		if err != nil {
			return err
		}
		err = bus.Answered(ctx, func() (err error) {
			if revision == 0 {
				_, err = a.kv.Create(ctx, key, data, jetstream.KeyTTL(ttl))
				return err
			}
			// kv.Update would drop the time to live.
			_, err = a.js.PublishMsg(ctx, &nats.Msg{Subject: "$KV." + Bucket.Bucket + "." + key, Data: data},
				jetstream.WithMsgTTL(ttl), jetstream.WithExpectLastSequencePerSubject(revision))
			return err
		})
		if errors.Is(err, jetstream.ErrKeyExists) { // which is also what the server says of another revision
			continue
		}
		return err
	}
}

func (a *Admission) readDials(ctx context.Context, key string) (dials, uint64, error) {
	d := dials{}
	e, err := a.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return d, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the dials of a number: %w", err)
	}
	if err := json.Unmarshal(e.Value(), &d); err != nil {
		return nil, 0, fmt.Errorf("the dials of a number: %w", err)
	}
	return d, e.Revision(), nil
}
