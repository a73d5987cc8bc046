// SPDX-License-Identifier: Apache-2.0

package simbot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
	"github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1/transferv1connect"
)

const (
	// transferKey is the same for every bot of a call: one that takes over and asks again is given the same transfer.
	transferKey = "sim-bot"
	// transferRPC is how long one request may take.
	transferRPC = 10 * time.Second
	// notYet is how long a call that cannot be transferred is asked for again: Trunkline may hear later than the bot that
	// the caller is there.
	notYet = 3 * time.Second
	// askAgain and askSlower are between two tries, the first and the later ones.
	askAgain, askSlower = 100 * time.Millisecond, 2 * time.Second
)

// watchSilence is after how long without a word a connection counts as broken.
var watchSilence = 20 * time.Second

// transfers is the bot's part in handing its caller over, whoever has asked for it. It goes on beside the room.
type transfers struct {
	job    job
	vices  vices
	client transferv1connect.TransferServiceClient
	speak  func(context.Context, string) error
	there  <-chan struct{} // closed when somebody is there to be handed over
	leave  chan<- struct{} // told when the bot is to go

	said map[string]bool
	done map[string]bool
}

// startTransfers begins with it, once the bot has joined; what is returned waits until it has ended.
func (b *bot) startTransfers(ctx context.Context) (wait func()) {
	if ours := b.job.Body.Trunkline; ours.TransferURL == "" || ours.Bridge {
		if b.vices.transfer != "" && !ours.Bridge {
			say("the job has no trunkline.transfer_url: nobody can be handed over")
		}
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	leave := make(chan struct{}, 1)
	b.leave = leave
	t := &transfers{
		job: b.job, vices: b.vices, speak: b.speak, there: b.there, leave: leave, said: map[string]bool{}, done: map[string]bool{},
		client: transferv1connect.NewTransferServiceClient(b.client, b.job.Body.Trunkline.TransferURL, connect.WithProtoJSON()),
	}
	asked, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		t.ask(ctx)
	}()
	go func() {
		defer close(watched)
		t.watch(ctx)
	}()
	return func() {
		cancel()
		<-asked
		<-watched
	}
}

// ask asks for a transfer, once the caller is there, if the bot is one that does.
func (t *transfers) ask(ctx context.Context) {
	if t.vices.transfer == "" {
		return
	}
	select {
	case <-t.there:
	case <-ctx.Done():
		return
	}
	if !pause(ctx, t.vices.transferAfter) {
		return
	}
	began := time.Now()
	for wait := askAgain; ; wait = min(2*wait, askSlower) {
		err := t.request(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case connect.CodeOf(err) == connect.CodeFailedPrecondition && time.Since(began) < notYet:
			wait = askAgain
		case !passing(err):
			say("ask for a transfer: %v", err)
			return
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func (t *transfers) request(ctx context.Context) error {
	ctx, cancel := t.authorized(ctx, transferRPC)
	defer cancel()
	res, err := t.client.RequestTransfer(ctx, &transferv1.RequestTransferRequest{
		Call: t.job.Body.Trunkline.CallID, Target: t.vices.transfer, Mode: t.vices.transferMode,
		Summary: t.vices.summary, Announcement: t.vices.announce, IdempotencyKey: transferKey,
	})
	if err == nil {
		say("asked for transfer %d, replayed: %v", res.GetTransfer().GetN(), res.GetReplayed())
	}
	return err
}

// watch follows the call's transfers until the context ends. A stream that breaks is followed by another, which begins with
// the transfer as it stands.
func (t *transfers) watch(ctx context.Context) {
	wait, told := askAgain, ""
	for {
		err := t.watchOnce(ctx, &wait)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != told {
			told = err.Error()
			say("watch transfers: %s", told)
		}
		switch connect.CodeOf(err) {
		case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeUnimplemented:
			return
		}
		if err == nil {
			wait = askSlower // the call is over, for all that transfer-service knows
		}
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, askSlower)
	}
}

// watchOnce does the bot's part in what one stream tells; a word from it makes the next wait a short one.
func (t *transfers) watchOnce(ctx context.Context, wait *time.Duration) error {
	ctx, cancel := t.authorized(ctx, 0)
	defer cancel()
	silence := time.AfterFunc(watchSilence, cancel)
	defer silence.Stop()
	stream, err := t.client.WatchTransfer(ctx, &transferv1.WatchTransferRequest{Call: t.job.Body.Trunkline.CallID})
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		silence.Reset(watchSilence)
		*wait = askAgain
		if tr := stream.Msg().GetTransfer(); tr != nil {
			if err := t.play(ctx, tr); err != nil {
				return err
			}
		}
	}
	return stream.Err()
}

// play does the bot's part in a state of a transfer, once. Only an error after which it may yet be done is returned.
func (t *transfers) play(ctx context.Context, tr *transferv1.Transfer) error {
	part := fmt.Sprintf("transfer %d: %s", tr.GetN(), tr.GetState())
	if t.done[part] {
		return nil
	}
	if err := t.act(ctx, tr); err != nil {
		if ctx.Err() != nil || passing(err) {
			return err
		}
		say("%s: %v", part, err)
	}
	t.done[part] = true
	return nil
}

func (t *transfers) act(ctx context.Context, tr *transferv1.Transfer) error {
	switch tr.GetState() {
	case transferv1.State_STATE_REQUESTED:
		if t.vices.neverAnnounce || tr.GetAnnouncement() == "" {
			return nil // without one it is executed at once
		}
		if err := t.say(ctx, tr, "announcement", tr.GetAnnouncement()); err != nil {
			return err
		}
		ctx, cancel := t.authorized(ctx, transferRPC)
		defer cancel()
		_, err := t.client.ExecuteTransfer(ctx, &transferv1.ExecuteTransferRequest{Call: tr.GetCall(), N: tr.GetN()})
		return err
	case transferv1.State_STATE_BRIEFING:
		if t.vices.neverBrief {
			return nil
		}
		if err := t.say(ctx, tr, "summary", tr.GetSummary()); err != nil {
			return err
		}
		ctx, cancel := t.authorized(ctx, transferRPC)
		defer cancel()
		_, err := t.client.FinishBriefing(ctx, &transferv1.FinishBriefingRequest{Call: tr.GetCall(), N: tr.GetN(), Declined: t.vices.declineBriefing})
		return err
	case transferv1.State_STATE_COMPLETED:
		if tr.GetBotLeaves() {
			select {
			case t.leave <- struct{}{}:
			default:
			}
		}
	case transferv1.State_STATE_FAILED:
		return errors.Join(t.say(ctx, tr, "failure", "transfer failed: "+tr.GetReason()), t.say(ctx, tr, "message", tr.GetMessage()))
	}
	return nil
}

// say says something of a transfer, once.
func (t *transfers) say(ctx context.Context, tr *transferv1.Transfer, what, text string) error {
	what = fmt.Sprint(tr.GetN(), " ", what)
	if text == "" || t.said[what] {
		return nil
	}
	if err := t.speak(ctx, text); err != nil {
		return err
	}
	t.said[what] = true
	return nil
}

// authorized is a context for one request with the token of the job; 0 is no limit.
func (t *transfers) authorized(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+t.job.Body.Trunkline.Token)
	return ctx, cancel
}

// passing tells whether what has failed may succeed later.
func passing(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeAborted, connect.CodeResourceExhausted,
		connect.CodeInternal, connect.CodeUnknown:
		return true
	}
	return false
}
