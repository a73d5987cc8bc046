// SPDX-License-Identifier: Apache-2.0

package transfers

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/trunkline/trunkline/pkg/bus"
	"github.com/trunkline/trunkline/pkg/call"
	transferv1 "github.com/trunkline/trunkline/proto/gen/trunkline/transfer/v1"
)

const (
	// watchIdle is how long a stream says nothing: less than what proxies and networks take for dead.
	watchIdle = 15 * time.Second
	// What there is a sign of is looked for at once and after lookSoon, and whatever there may be, every lookAgain.
	lookSoon  = 50 * time.Millisecond
	lookAgain = 10 * time.Second
)

// GetTransfer gives a transfer as it stands, or as it stands after its next change.
func (r *rpc) GetTransfer(ctx context.Context, req *transferv1.GetTransferRequest) (*transferv1.GetTransferResponse, error) {
	if err := mine(ctx, req.GetCall()); err != nil {
		return nil, err
	}
	story, err := r.story(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	last := read(story, req.GetN())
	if req.GetWait().AsDuration() == 0 {
		return &transferv1.GetTransferResponse{Transfer: last}, nil
	}
	wait, cancel := context.WithTimeout(ctx, req.GetWait().AsDuration())
	defer cancel()
	err = r.watch(wait, req.GetCall(), func(story *bus.Story) (more bool, err error) {
		last = read(story, req.GetN())
		return last.GetRevision() <= req.GetAfterRevision() && !settled(story), nil
	})
	if err != nil && (wait.Err() == nil || ctx.Err() != nil) {
		return nil, err
	}
	return &transferv1.GetTransferResponse{Transfer: last}, nil
}

// WatchTransfer tells every change of a call's transfers.
func (r *rpc) WatchTransfer(ctx context.Context, req *transferv1.WatchTransferRequest, to *connect.ServerStream[transferv1.WatchTransferResponse]) error {
	if err := mine(ctx, req.GetCall()); err != nil {
		return err
	}
	at, last, told := time.Now(), uint32(0), map[uint32]uint64{} // the revision of each transfer
	return r.watch(ctx, req.GetCall(), func(story *bus.Story) (more bool, err error) {
		s := call.Read(story)
		if last == 0 { // what was over before is over
			last = max(uint32(len(s.Transfers)), 1)
		}
		for ; ; last++ {
			if t := describe(story, s, transferOf(s, last)); t.GetRevision() > told[last] {
				told[last], at = t.GetRevision(), time.Now()
				err = errors.Join(err, to.Send(&transferv1.WatchTransferResponse{Transfer: t}))
			}
			if int(last) >= len(s.Transfers) {
				break
			}
		}
		if time.Since(at) >= watchIdle { // a sign of life
			at = time.Now()
			err = errors.Join(err, to.Send(&transferv1.WatchTransferResponse{}))
		}
		return !settled(story), err
	})
}

// settled reports whether nothing more will be told of a call: it is over, and so are its transfers.
func settled(story *bus.Story) bool { return story.Ended() && !call.Read(story).Transfer().UnderWay() }

func read(story *bus.Story, n uint32) *transferv1.Transfer {
	s := call.Read(story)
	return describe(story, s, transferOf(s, n))
}

// story reads a call that must be there.
func (r *rpc) story(ctx context.Context, callID string) (*bus.Story, error) {
	story, err := r.Bus.Story(ctx, callID)
	switch {
	case err != nil:
		return nil, connect.NewError(connect.CodeUnavailable, err)
	case len(story.Events) == 0:
		return nil, r.unseen(ctx, story, nil)
	}
	return story, current(ctx, call.Read(story))
}

// watch shows a call whenever something has happened to it, until see has seen enough.
func (r *rpc) watch(ctx context.Context, callID string, see func(*bus.Story) (more bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signs, err := r.Bus.Hear(ctx, callID)
	if err != nil {
		return connect.NewError(connect.CodeUnavailable, err)
	}
	for again := lookAgain; ; {
		story, err := r.story(ctx, callID)
		if err != nil {
			return err
		}
		if more, err := see(story); err != nil || !more {
			return err
		}
		select {
		case <-signs:
			again = lookSoon
		case <-time.After(again):
			again = lookAgain
		case <-ctx.Done():
			return ctx.Err()
		case <-r.life.Done():
			return connect.NewError(connect.CodeUnavailable, errors.New("the service is stopping: try again"))
		}
	}
}
