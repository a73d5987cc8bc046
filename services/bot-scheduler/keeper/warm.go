// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"os"
	"time"
)

// warmWithin is how long a bot may take to get ready for a call that is not there yet.
const warmWithin = 2 * time.Minute

// errUnused is the end of a keeper that nobody has given an order.
var errUnused = errors.New("no order has come")

// await has the bot started before its call is known, and waits for the order. A bot without one holds no slot: it ends
// with whoever has started us, or if it does not get ready, and if it dies, so do we.
func (k *keeper) await(who visitor, terminate <-chan os.Signal) (Order, error) {
	var err error
	if k.bot, err = startBot(k.spec); err != nil {
		return Order{}, err
	}
	type result struct {
		Order
		error
	}
	given := make(chan result, 1)
	go func() {
		o, err := who.order()
		given <- result{o, err}
	}()
	ready, late := k.bot.ready, time.NewTimer(warmWithin)
	defer late.Stop()
	for {
		select {
		case <-ready:
			ready = nil
			late.Stop()
			who.ready()
		case got := <-given:
			if got.error != nil {
				k.bot.end()
				return Order{}, errUnused
			}
			return got.Order, nil
		case <-k.bot.exited:
			_, reason := k.bot.result("")
			return Order{}, errors.New("a warm bot has ended while it waited: " + reason)
		case <-late.C:
			k.bot.end()
			return Order{}, errors.New("a warm bot does not get ready")
		case <-terminate:
			k.bot.end()
			return Order{}, errUnused
		}
	}
}
