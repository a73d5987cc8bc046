// SPDX-License-Identifier: Apache-2.0

package simbot

import (
	"flag"
	"io"
	"time"
)

// vices are the ways in which the bot can misbehave.
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
	return v, f.Parse(args)
}
