// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// follow shows every entry of a bucket, as it is and as it changes, until the context ends; an entry that is gone has no
// value. It closes known when all that was there has been shown.
//
// What tells of changes lives in the memory of one broker and dies with it, which the client notices 10 to 20 s later.
// So the bucket is asked every now and then how far it is, and all of it is shown anew if it is further than we have
// heard: also what is gone for so long that no mark is left of it.
func follow(ctx context.Context, kv jetstream.KeyValue, see func(key string, value []byte), known chan struct{}) error {
	f := &follower{kv: kv, see: see, held: map[string]bool{}}
	all := sync.OnceFunc(func() { close(known) })
	for {
		err := f.listen(ctx, all)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			continue
		}
		select {
		case <-known: // the broker is away
		default:
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// follower follows a bucket.
type follower struct {
	kv   jetstream.KeyValue
	see  func(key string, value []byte)
	held map[string]bool // what has been shown and is not known to be gone
	seen uint64          // how far we have heard
}

// listen shows all that is there, and then what changes, until it turns out that it hears no more.
func (f *follower) listen(ctx context.Context, all func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	from, err := f.last(ctx)
	if err != nil {
		return err
	}
	watcher, err := f.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", f.kv.Bucket(), err)
	}
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	gone, known, there := maps.Clone(f.held), false, from
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-watcher.Updates():
			switch {
			case !ok:
				return fmt.Errorf("watch bucket %s: closed", f.kv.Bucket())
			case e == nil: // once, after what was there
				for key := range gone {
					f.drop(key)
				}
				f.seen, known = max(f.seen, from), true
				all()
			case e.Operation() == jetstream.KeyValuePut:
				delete(gone, e.Key())
				f.seen, f.held[e.Key()] = max(f.seen, e.Revision()), true
				f.see(e.Key(), e.Value())
			case known || f.held[e.Key()]:
				delete(gone, e.Key())
				f.seen = max(f.seen, e.Revision())
				f.drop(e.Key())
			}
		case <-look.C:
			if known && f.seen < there {
				return nil
			}
			if now, err := f.last(ctx); err == nil {
				there = now
			}
		}
	}
}

func (f *follower) drop(key string) {
	delete(f.held, key)
	f.see(key, nil)
}

// last is how far the bucket is.
func (f *follower) last(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	status, err := f.kv.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at bucket %s: %w", f.kv.Bucket(), err)
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return 0, fmt.Errorf("look at bucket %s: %T", f.kv.Bucket(), status)
	}
	return bucket.StreamInfo().State.LastSeq, nil
}
