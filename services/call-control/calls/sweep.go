// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"context"
	"errors"
	"time"

	"github.com/trunkline/trunkline/pkg/call"
)

// sweepEvery is how often it is looked whether the places of dial-outs are held by calls that need them.
const sweepEvery = time.Minute

// sweep gives back the places of calls that have ended, and of operators' legs that are over. One is left behind where a
// process died that had just been given it, for a call that was ended at that moment: nothing more happens to that call.
func (c *Control) sweep(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := c.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("give back the places of calls that are over", "err", err)
		}
	}
}

func (c *Control) sweepOnce(ctx context.Context) error {
	holders, err := c.Admission.Holders(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for holder := range holders {
		callID, n, k, isLeg := parseLegHolder(holder)
		if !isLeg {
			callID = holder
		}
		story, err := c.Bus.Story(ctx, callID)
		if err == nil {
			if s := call.Read(story); s.Ended != nil || isLeg && legIsOver(s, n, k) {
				err = c.Admission.Release(ctx, holder)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
