// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trunkline/trunkline/pkg/guard"
	"github.com/trunkline/trunkline/services/bot-scheduler/slots"
)

// checked is what a check of the lease has found.
type checked struct {
	until time.Time     // the lease holds until then; zero: no longer than was known
	stop  *slots.Stop   // somebody wants the bot stopped
	lost  bool          // the slot is somebody else's
	again time.Duration // when to check again
}

// takeOver renews the scheduler's lease: the proof that the slot is ours and that nobody has given it up meanwhile.
func (k *keeper) takeOver(js jetstream.JetStream) error {
	for {
		err := func() (err error) {
			ctx, cancel := context.WithDeadline(context.Background(), earlier(k.until, time.Now().Add(callTimeout)))
			defer cancel()
			if k.slots == nil {
				if k.slots, err = slots.Open(ctx, js); err != nil {
					return err
				}
			}
			k.until, err = k.renew(ctx, k.until)
			return err
		}()
		if err == nil || errors.Is(err, slots.ErrLost) || time.Until(k.until) < 0 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// renew gives the time until which the lease holds now: the one given, if it could not be renewed.
func (k *keeper) renew(ctx context.Context, until time.Time) (time.Time, error) {
	asked := time.Now()
	if err := k.slots.Renew(ctx, &k.lease); err != nil {
		return until, err
	}
	return asked.Add(k.spec.TTL), nil
}

// check renews the lease, which holds until then, and sees whether somebody wants the bot stopped.
func (k *keeper) check(until time.Time) (found checked) {
	ctx, cancel := context.WithDeadline(context.Background(), earlier(until.Add(-killMargin), time.Now().Add(callTimeout)))
	defer cancel()
	if guard.Broken(guard.Fence) {
		return checked{until: time.Now().Add(time.Hour), again: time.Hour}
	}
	until, err := k.renew(ctx, until)
	if err == nil {
		k.unseen = false
		return checked{until: until, again: k.spec.TTL / renewals}
	}
	if !errors.Is(err, slots.ErrLost) {
		k.log.Warn("renew the lease", "err", err)
		k.seekAnother(ctx)
		return checked{again: renewAgain}
	}
	now, err := k.slots.Look(ctx, k.lease.Key)
	switch {
	case err != nil:
		k.log.Warn("look at the lease", "err", err)
		return checked{again: renewAgain}
	case now != nil && now.Revision <= k.lease.Revision: // a replica that lags behind
		return checked{again: renewAgain}
	case now != nil && now.Holder.Same(k.lease.Holder):
		// Changed by whoever wants the bot stopped, or by a renewal of ours whose answer was lost.
		k.lease.Revision, k.lease.Holder = now.Revision, now.Holder
		return checked{stop: now.Holder.Stop}
	case now == nil && !k.unseen: // it has run out, or the replica has never heard of it: it has to say so twice
		k.unseen = true
		return checked{again: renewAgain}
	default:
		return checked{lost: true, again: renewAgain}
	}
}

// seekAnother goes to another server if ours has gone without a word: a lease cannot wait until pings have told so.
func (k *keeper) seekAnother(failed context.Context) {
	if !errors.Is(failed.Err(), context.DeadlineExceeded) || !k.nc.IsConnected() { // it has answered, or is being sought already
		return
	}
	if err := k.nc.FlushTimeout(pongTimeout); err == nil {
		return // it is there; what is not is a leader
	}
	k.log.Warn("NATS does not answer: another server is sought")
	if err := k.nc.ForceReconnect(); err != nil {
		k.log.Warn("seek another server of NATS", "err", err)
	}
}

// hold keeps the lease of a bot whose exit cannot be reported yet: whoever saw it run out would take the bot for lost.
func (k *keeper) hold() {
	if time.Until(k.until) > k.spec.TTL/2 {
		return
	}
	if found := k.check(k.until); !found.until.IsZero() {
		k.until = found.until
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
