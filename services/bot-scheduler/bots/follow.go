// SPDX-License-Identifier: Apache-2.0

package bots

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// follower follows a bucket: it shows every entry, as it is and as it changes. An entry that is gone has no value.
//
// What tells of changes lives in the memory of one broker and dies with it, which the client notices 10 to 20 s later.
// So the bucket is asked every now and then how far it is, and all of it is shown anew if it is further than we have
// heard, and also when a broker was away, which may have lost what we have heard.
type follower struct {
	nc    *nats.Conn
	kv    jetstream.KeyValue
	holds func() []string // the keys that are taken to be there: no mark may be left of one that has gone
	see   func(key string, value []byte)
	known chan struct{} // closed when all that was there has been shown

	doubted uint64 // how far the bucket was when all was shown anew
}

// follow goes on until the context ends.
func (f *follower) follow(ctx context.Context) error {
	all := sync.OnceFunc(func() { close(f.known) })
	for {
		err := f.listen(ctx, all)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			continue
		}
		select {
		case <-f.known: // the broker is away
		default:
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// listen shows all that is there, and then what changes, until it turns out that it hears no more.
func (f *follower) listen(ctx context.Context, all func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	connection := f.nc.Stats().Reconnects
	gone := map[string]bool{}
	for _, key := range f.holds() {
		gone[key] = true
	}
	watcher, err := f.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", f.kv.Bucket(), err)
	}
	defer func() {
		go func() { // it may be waiting to tell more, and ends when nothing is left
			for range watcher.Updates() {
			}
		}()
	}()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	shown, heard, there := false, uint64(0), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-watcher.Updates():
			if !ok {
				return fmt.Errorf("watch bucket %s: closed", f.kv.Bucket())
			}
			if e == nil { // once, after what was there
				for key := range gone {
					f.see(key, nil)
				}
				shown = true
				all()
				continue
			}
			delete(gone, e.Key())
			heard = max(heard, e.Revision())
			if e.Operation() == jetstream.KeyValuePut {
				f.see(e.Key(), e.Value())
			} else {
				f.see(e.Key(), nil)
			}
		case <-look.C:
			// What comes last may have gone without a mark: one doubt is enough.
			if shown && heard < there && there != f.doubted {
				f.doubted = there
				return nil
			}
			if f.nc.Stats().Reconnects != connection {
				return nil
			}
			if now, err := f.last(ctx); err == nil {
				there = now
			}
		}
	}
}

// last is how far the bucket is.
func (f *follower) last(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, lookAgain)
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
