// SPDX-License-Identifier: Apache-2.0

// Package call reads a call's story: what its events, taken together, say about it.
package call

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/trunkline/trunkline/pkg/bus"
	callv1 "github.com/trunkline/trunkline/proto/gen/trunkline/call/v1"
)

// State is what a call's events say, taken together.
type State struct {
	ID        string
	Began     time.Time             // of the first event
	Received  *callv1.CallReceived  // of a dial-in
	Requested *callv1.CallRequested // of a dial-out
	Attempts  []*Attempt            // by number, from 1
	Forwarded *Mark[*callv1.CallForwarded]
	Connected *Mark[*callv1.CallConnected]
	EndAsked  *Mark[*callv1.EndRequested]
	Ended     *Mark[*callv1.CallEnded]
	Released  bool
	Legs      map[string]*Leg // by session id
	Transfers []*Transfer     // by number, from 1

	left    map[string]time.Time // sessions of people who have left, legs or not, and the first word of it
	dialled map[string]try       // sessions of who was dialled for a transfer
	told    map[string]string    // what Daily has told last of sessions that are being sent away
}

// Mark is an event of which a call has one.
type Mark[T any] struct {
	At   time.Time
	Data T
}

// Attempt is one try to bring the caller and a bot together.
type Attempt struct {
	N             uint32
	Place         callv1.Place
	AskedAt       time.Time // of the request for it; zero for a dial-in's first
	Agent         string
	Room          *callv1.RoomReady
	Starting      *callv1.BotStarting
	StartingAt    time.Time
	Started       *callv1.BotStarted
	Joined        bool   // Daily has reported that the bot is in the room
	Session       string // of the bot in the room, where Daily has told
	Left          bool   // Daily has reported that the bot has left it
	Ready         *callv1.BotReady
	Claimed       *callv1.BotClaimed // by a bot that was known to be ready
	Exited        *callv1.BotExited
	ExitedAt      time.Time
	Failed        *callv1.BotFailed
	Forward       *callv1.ForwardStarted
	ForwardAt     time.Time // of the last request
	Repeats       uint32    // how often the request was repeated
	ForwardFailed *callv1.ForwardFailed

	Dial         *callv1.DialStarting
	DialAt       time.Time
	Dialled      *callv1.DialStarted
	DialledAt    time.Time
	Answered     *callv1.DialAnswered
	Stopping     *callv1.DialStopping
	StoppingAt   time.Time
	DialFailed   *callv1.DialFailed
	DialFailedAt time.Time
	Voicemail    bool // the bot has heard a machine

	// What ended it, and when. Empty while it may still come to something.
	Reason string
	OverAt time.Time
}

// Leg is a person's connection to the call.
type Leg struct {
	// Of somebody who was dialled for a transfer, the transfer's number and that of the try; else 0.
	N, K uint32
	// Dialled: we have called the leg, or a bot has.
	Dialled bool

	Session    string
	Room       string
	Attempt    uint32    // of the room
	Since      time.Time // of the first word of it
	Connected  bool
	AnsweredAt time.Time // of a dial-out's; zero while it is not
	Gone       bool
	GoneAt     time.Time // of the first word of that
	Failed     bool      // it never came to be
	Reason     string    // why it failed, in Daily's words
}

// Begun reports whether the call's first fact is known.
func (s *State) Begun() bool { return s.Received != nil || s.Requested != nil }

// AnswerBudget is how long the call may be without a bot.
func (s *State) AnswerBudget() time.Duration {
	if s.Requested != nil {
		return s.Requested.GetAnswerBudget().AsDuration()
	}
	return s.Received.GetAnswerBudget().AsDuration()
}

// MaxDuration is how long the call may last once people talk.
func (s *State) MaxDuration() time.Duration {
	if s.Requested != nil {
		return s.Requested.GetMaxDuration().AsDuration()
	}
	return s.Received.GetMaxDuration().AsDuration()
}

// Read makes a call's state of its story.
func Read(story *bus.Story) *State {
	s := New(story.CallID)
	for _, e := range story.Events {
		s.Apply(e)
	}
	return s
}

// New is the state of a call of which nothing is known.
func New(id string) *State {
	return &State{ID: id, Legs: map[string]*Leg{}, left: map[string]time.Time{}, dialled: map[string]try{}, told: map[string]string{}}
}

// Current is the latest attempt. A call always has one.
func (s *State) Current() *Attempt { return s.attempt(uint32(max(len(s.Attempts), 1))) }

// Attempt gives an attempt by its number, or nil.
func (s *State) Attempt(n uint32) *Attempt {
	if n < 1 || int(n) > len(s.Attempts) {
		return nil
	}
	return s.Attempts[n-1]
}

// Over reports whether the attempt can no longer come to anything.
func (a *Attempt) Over() bool { return a.Reason != "" }

// ClaimedBy gives the session of the bot that has claimed the attempt's call, and whether one has.
func (a *Attempt) ClaimedBy() (session string, claimed bool) {
	if a.Ready.GetSign() == callv1.Sign_SIGN_CLAIMED {
		return a.Ready.GetSession(), true
	}
	return a.Claimed.GetSession(), a.Claimed != nil
}

// BotLives reports whether the attempt's bot has been started, or may have been, and is not known to be gone.
func (a *Attempt) BotLives() bool { return a.Starting != nil && a.Exited == nil && a.Failed == nil }

// Forwarding gives the attempt into whose room the caller is being forwarded, with no result yet, or nil.
func (s *State) Forwarding() *Attempt {
	if s.Forwarded != nil {
		return nil
	}
	for _, a := range s.Attempts {
		if a.Forward != nil && a.ForwardFailed == nil {
			return a
		}
	}
	return nil
}

// Callers gives the legs that are the caller's, or the called person's: the ones that the call is for.
func (s *State) Callers() []*Leg {
	var legs []*Leg
	for _, l := range s.Legs {
		if s.callers(l) {
			legs = append(legs, l)
		}
	}
	return legs
}

// callers reports whether a leg is one that the call is for. Of a call that came in, whoever was dialled is not.
func (s *State) callers(l *Leg) bool { return l.N == 0 && (s.Received == nil || !l.Dialled) }

// LegsAlive counts the caller's legs that are in the call.
func (s *State) LegsAlive() int {
	n := 0
	for _, l := range s.Legs {
		if !l.Gone && s.callers(l) {
			n++
		}
	}
	return n
}

// CallerIn reports whether the caller has been patched into a room.
func (s *State) CallerIn() bool { return s.Forwarded != nil || s.LegsAlive() > 0 }

// attempt gives an attempt by number, adding it, and those before it, where they are missing: events may come in any
// order, and attempt numbers come from our own events alone.
func (s *State) attempt(n uint32) *Attempt {
	for uint32(len(s.Attempts)) < min(max(n, 1), maxAttempts) {
		a := &Attempt{N: uint32(len(s.Attempts)) + 1, Place: callv1.Place_PLACE_NEW_ROOM}
		a.Agent = s.agent()
		s.Attempts = append(s.Attempts, a)
	}
	return s.Attempts[min(max(n, 1), maxAttempts)-1]
}

// agent is the one that the call was meant for.
func (s *State) agent() string {
	if s.Requested != nil {
		return s.Requested.GetAgent()
	}
	return s.Received.GetAgent()
}

// maxAttempts bounds what a damaged number can make of a state.
const maxAttempts = 1000

func (a *Attempt) over(at time.Time, format string, args ...any) {
	if a.Reason == "" {
		a.Reason, a.OverAt = fmt.Sprintf(format, args...), at
	}
}

// RoomName names the room of an attempt at Daily. The name alone gives both back.
func RoomName(callID string, attempt uint32) string {
	return "tl-" + BotID(callID, attempt)
}

// BotID is the user id of an attempt's bot at Daily: at most 36 characters.
func BotID(callID string, attempt uint32) string { return callID + "-" + strconv.Itoa(int(attempt)) }

var botID = regexp.MustCompile(`^([a-z2-7]{26})-([1-9][0-9]{0,8})$`)

// ParseRoom takes a room's name apart. A room that is not ours is not ok.
func ParseRoom(name string) (callID string, attempt uint32, ok bool) {
	if len(name) < 3 || name[:3] != "tl-" {
		return "", 0, false
	}
	return ParseBot(name[3:])
}

// ParseBot takes a bot's user id apart. Anybody else's is not ok.
func ParseBot(userID string) (callID string, attempt uint32, ok bool) {
	m := botID.FindStringSubmatch(userID)
	if m == nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(m[2], 10, 32)
	return m[1], uint32(n), err == nil
}
