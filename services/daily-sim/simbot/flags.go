// SPDX-License-Identifier: Apache-2.0

package simbot

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"
)

var errFlag = errors.New("bad flag")

// vices are the ways in which the bot can misbehave, and what it is to do that not every bot does.
type vices struct {
	dieBeforeReady int
	dieAfter       time.Duration
	neverJoin      bool
	neverAsk       bool
	askTwice       bool
	askForCall     string
	ignoreSIGTERM  bool
	leaveChild     bool
	leaveAfter     time.Duration
	outstay        bool
	joinDelay      time.Duration
	standStill     int
	voicemail      bool

	transfer, transferMode                     string
	transferAfter                              time.Duration
	announce, summary                          string
	neverAnnounce, neverBrief, declineBriefing bool
}

func parse(args []string, stderr io.Writer) (vices, error) {
	var v vices
	f := flag.NewFlagSet("sim-bot", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&v.dieBeforeReady, "die-before-ready-attempts", 0, "exit 1 right after joining while the attempt is not above `N`")
	f.DurationVar(&v.dieAfter, "die-after", 0, "exit 1 that long after the forward")
	f.BoolVar(&v.neverJoin, "never-join", false, "stay without joining")
	f.BoolVar(&v.neverAsk, "never-ask", false, "join, but never ask for the caller")
	f.BoolVar(&v.askTwice, "ask-twice", false, "ask for the caller twice")
	f.StringVar(&v.askForCall, "ask-for-call", "", "ask for the caller of call `ID` in place of its own")
	f.BoolVar(&v.ignoreSIGTERM, "ignore-sigterm", false, "go on after SIGTERM")
	f.BoolVar(&v.leaveChild, "leave-child", false, "start a child process and leave it behind")
	f.DurationVar(&v.leaveAfter, "leave-after", 0, "leave and exit 0 that long after joining")
	f.BoolVar(&v.outstay, "outstay", false, "stay when the caller has gone")
	f.DurationVar(&v.joinDelay, "join-delay", 0, "wait before joining")
	f.IntVar(&v.standStill, "stand-still-attempts", 0, "stop with SIGSTOP before joining, until somebody sends SIGCONT, while the attempt is not above `N`")
	f.BoolVar(&v.voicemail, "report-voicemail", false, "tell Trunkline when a machine has answered, and leave")
	f.StringVar(&v.transfer, "transfer", "", "have the caller handed over to `TARGET`")
	f.StringVar(&v.transferMode, "transfer-mode", "cold", "how: cold, warm, blind or refer")
	f.DurationVar(&v.transferAfter, "transfer-after", 0, "ask for it that long after the caller is there")
	f.StringVar(&v.announce, "announce", "", "what to say to the caller before")
	f.StringVar(&v.summary, "summary", "", "what to say to who answers, of a warm transfer")
	f.BoolVar(&v.neverAnnounce, "never-announce", false, "neither say what is to be said to the caller before, nor that it has been said")
	f.BoolVar(&v.neverBrief, "never-brief", false, "be silent in the briefing")
	f.BoolVar(&v.declineBriefing, "decline-briefing", false, "tell that who answered does not want the caller")
	if err := f.Parse(args); err != nil {
		return v, err
	}
	if !slices.Contains([]string{"cold", "warm", "blind", "refer"}, v.transferMode) {
		fmt.Fprintf(stderr, "--transfer-mode: %q is none of cold, warm, blind, refer\n", v.transferMode)
		return v, errFlag
	}
	return v, nil
}
