// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The states of a call.
const (
	Holding   = "holding"
	Forwarded = "forwarded"
	Connected = "connected"
	Ended     = "ended"
	// Transferred is out of its room, on the way to somebody else or talking with them.
	Transferred = "transferred"
)

// ErrNotFound is returned for a call that does not exist.
var ErrNotFound = errors.New("sim: no such call")

// CallSpec is a phone that will call.
type CallSpec struct {
	// From is the caller's number; null or empty is an anonymous caller.
	From string `json:"from"`
	// To is a number, or the static SIP URI, of a dial-in config.
	To string `json:"to"`
	// Hold is the caller's patience, 0 = as long as Daily holds; Talk is how long after being connected the
	// caller hangs up, 0 = stays.
	Hold Duration `json:"hold"`
	Talk Duration `json:"talk"`
	// HangupOnForward hangs up after the forward was answered 200 and before the caller is in the room.
	HangupOnForward bool              `json:"hangup_on_forward"`
	SIPHeaders      map[string]string `json:"sip_headers"`
	Webhook         CallWebhook       `json:"webhook"`
}

// CallWebhook is what happens to the dial-in webhook of this one call, apart from the faults.
type CallWebhook struct {
	Delay          Duration `json:"delay"`
	Duplicates     int      `json:"duplicates"`
	DuplicateAfter Duration `json:"duplicate_after"`
	Lose           bool     `json:"lose"`
}

// Call is what became of a phone call.
type Call struct {
	ID         string            `json:"id"`
	CallDomain string            `json:"call_domain"`
	From       *string           `json:"from"`
	To         string            `json:"to"`
	SIPHeaders map[string]string `json:"sip_headers,omitempty"`
	State      string            `json:"state"`
	// Why it ended: gave-up (patience), hold-timeout (Daily's), hung-up, ejected, expired, room-deleted,
	// room-idle, not-connected (the room was gone when the caller came), transfer-failed (nobody answered a transfer, and
	// there is no way back), transfer-ended (the other side hung up).
	Why         string     `json:"why,omitempty"`
	StartedAt   time.Time  `json:"started_at"`
	ForwardedAt *time.Time `json:"forwarded_at"`
	ConnectedAt *time.Time `json:"connected_at"`
	EndedAt     *time.Time `json:"ended_at"`
	// Held is how long the caller heard the hold music, Alone how long it has been in a room without a bot.
	Held  Duration `json:"held"`
	Alone Duration `json:"alone"`
	// Rooms, Sessions (the session ids in them) and Legs are all it ever had; Live is how many legs it has now.
	Rooms    []string `json:"rooms"`
	Sessions []string `json:"sessions"`
	Legs     int      `json:"legs"`
	Live     int      `json:"live"`
	// Forwards counts the pinlessCallUpdates answered 200, Refused the others that named it.
	Forwards int        `json:"forwards"`
	Refused  int        `json:"refused"`
	Webhooks []Delivery `json:"webhooks"`
}

type call struct {
	Call
	spec     CallSpec
	url      string
	hmac     string
	legs     map[*leg]bool
	patience *task
	talk     *task
	away     *transfer // that has taken it out of all rooms
}

// leg is a caller's way into one room: reserved at the forward, a participant a little later.
type leg struct {
	id, sipCallID string
	call          *call
	room          *room
	endpoint      string
	participant   *participant
	transfer      *transfer // that has led it here
}

// PlaceCall lets a phone ring at Daily; the answer comes at once, the call goes on by itself.
func (s *Sim) PlaceCall(spec CallSpec) (Call, error) {
	if spec.To == "" {
		return Call{}, errors.New("to: must not be empty")
	}
	if spec.Webhook.Duplicates < 0 || spec.Webhook.Duplicates > 100 {
		return Call{}, errors.New("webhook.duplicates: must be between 0 and 100")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	config := s.configFor(spec.To)
	if config == nil {
		return Call{}, fmt.Errorf("to: no dial-in config for %q", spec.To)
	}
	c := &call{spec: spec, url: config.text("room_creation_api"), hmac: config.text("hmac"), legs: map[*leg]bool{}}
	c.Call = Call{
		ID: uuid.NewString(), CallDomain: s.cfg.CallDomain, To: spec.To, SIPHeaders: spec.SIPHeaders,
		State: Holding, StartedAt: time.Now(), Rooms: []string{}, Sessions: []string{}, Webhooks: []Delivery{},
	}
	if spec.From != "" {
		c.From = &spec.From
	}
	s.order = forget(s.order, s.cfg.History, func(c *call) bool { return c.State == Ended }, func(c *call) { delete(s.calls, c.ID) })
	s.calls[c.ID] = c
	s.order = append(s.order, c)
	hold, why := s.cfg.MaxHold.Std(), "hold-timeout"
	if p := spec.Hold.Std(); p > 0 && p < hold {
		hold, why = p, "gave-up"
	}
	c.patience = s.tasks.after(hold, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.State == Holding {
			s.endCall(c, why)
		}
	})
	s.ring(c)
	s.touch()
	return c.view(), nil
}

// Call tells about one call.
func (s *Sim) Call(id string) (Call, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[id]
	if c == nil {
		return Call{}, false
	}
	return c.view(), true
}

// Calls tells about all calls, oldest first.
func (s *Sim) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Call{}
	for _, c := range s.order {
		list = append(list, c.view())
	}
	return list
}

// Hangup lets the caller hang up; a call that has ended stays as it is.
func (s *Sim) Hangup(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[id]
	if c == nil {
		return ErrNotFound
	}
	s.endCall(c, "hung-up")
	return nil
}

// forget drops the oldest that are over, when there are twice as many as are to be remembered.
func forget[T any](order []T, remembered int, over func(T) bool, drop func(T)) []T {
	if len(order) < 2*remembered {
		return order
	}
	old := len(order) - remembered
	var kept []T
	for i, x := range order {
		if i < old && over(x) {
			drop(x)
			continue
		}
		kept = append(kept, x)
	}
	return kept
}

// endCall takes all legs of the call out of their rooms; mu is held.
func (s *Sim) endCall(c *call, why string) {
	if c.State == Ended {
		return
	}
	now := time.Now()
	c.State, c.Why, c.EndedAt = Ended, why, &now
	s.tasks.stop(c.patience)
	s.tasks.stop(c.talk)
	for l := range c.legs {
		if l.participant != nil {
			s.leave(l.participant, why)
		} else {
			s.legGone(l, why)
		}
	}
	if c.away != nil {
		s.endTransfer(c.away, callerHungUp)
	}
	s.touch()
}

// legGone frees the leg's endpoint; the call ends with its last leg, unless it goes on elsewhere.
func (s *Sim) legGone(l *leg, why string) {
	delete(l.call.legs, l)
	if l.room.busy[l.endpoint] == l {
		delete(l.room.busy, l.endpoint)
	}
	if l.transfer != nil {
		s.endTransfer(l.transfer, why)
	}
	if len(l.call.legs) == 0 && l.call.away == nil {
		s.endCall(l.call, why)
	}
}

func (c *call) view() Call {
	v := c.Call
	v.Rooms, v.Sessions = slices.Clone(c.Rooms), slices.Clone(c.Sessions)
	v.Webhooks = slices.Clone(c.Webhooks)
	for l := range c.legs {
		if l.participant != nil {
			v.Live++
			v.Alone += l.participant.alone(time.Now())
		}
	}
	switch {
	case c.ConnectedAt != nil:
		v.Held = Duration(c.ConnectedAt.Sub(c.StartedAt))
	case c.EndedAt != nil:
		v.Held = Duration(c.EndedAt.Sub(c.StartedAt))
	default:
		v.Held = Duration(time.Since(c.StartedAt))
	}
	return v
}
