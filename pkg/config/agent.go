// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"go.yaml.in/yaml/v4"
)

// An Agent is a bot that can be started, as often as it has slots.
type Agent struct {
	Name         string            `yaml:"-"`             // its key under agents
	Backend      string            `yaml:"backend"`       // what runs it: process, runner, pod or pipecat-cloud
	URL          string            `yaml:"url"`           // where bots are asked for that are no processes of ours
	CloudAgent   string            `yaml:"cloud_agent"`   // its name at Pipecat Cloud; empty: as here
	Command      []string          `yaml:"command"`       // program and arguments; see Argv
	Dir          string            `yaml:"dir"`           // working directory; empty: the scheduler's
	Env          map[string]string `yaml:"env"`           // set for the bot
	PassEnv      []string          `yaml:"pass_env"`      // names passed on from the scheduler's environment
	Warm         int               `yaml:"warm"`          // workers that each scheduler keeps ready
	MemoryLimit  int               `yaml:"memory_limit"`  // MiB of a process; 0: none
	MaxRuntime   time.Duration     `yaml:"max_runtime"`   // of a bot; 0: none
	Heartbeat    time.Duration     `yaml:"heartbeat"`     // without one for so long, it is lost; 0: none is expected
	Slots        int               `yaml:"slots"`         // bots at once, on all machines together
	Owner        bool              `yaml:"owner"`         // the bot's meeting token is an owner's
	ReadyTimeout time.Duration     `yaml:"ready_timeout"` // answer deadline of one attempt, from its start
	Linger       time.Duration     `yaml:"linger"`        // for its last work after the call's end; may be 0
	KillGrace    time.Duration     `yaml:"kill_grace"`    // from SIGTERM to SIGKILL
	Lease        time.Duration     `yaml:"lease"`         // TTL of its slot, whole seconds

	// Targets are the names of those to whom the agent's calls can be transferred.
	Targets []string `yaml:"targets"`

	// Of dial-outs.
	Dial              string  `yaml:"dial"`                // who dials: trunkline or bot
	DialoutSettings   string  `yaml:"dialout_settings"`    // the shape in which a bot that dials is told whom: object or list
	CallerID          string  `yaml:"caller_id"`           // Daily's id of the number to call from; empty: Daily chooses
	MaxDialouts       int     `yaml:"max_dialouts"`        // at once; 0: as many as it has slots
	DialoutsPerSecond float64 `yaml:"dialouts_per_second"` // begun; 0: as many as policy lets
}

// The backends.
const (
	Process      = "process"
	Runner       = "runner"
	Pod          = "pod"
	PipecatCloud = "pipecat-cloud"
)

// DefaultAgent is an Agent with every default, and no command.
func DefaultAgent() Agent {
	return Agent{
		Backend:      Process,
		Slots:        10,
		ReadyTimeout: 10 * time.Second,
		Linger:       5 * time.Second,
		KillGrace:    5 * time.Second,
		Lease:        15 * time.Second,
		Dial:         DialsByTrunkline,

		DialoutSettings: DialoutObject,
	}
}

// UnmarshalYAML starts from the defaults.
func (a *Agent) UnmarshalYAML(n *yaml.Node) error {
	type plain Agent
	*a = DefaultAgent()
	return n.Decode((*plain)(a))
}

// CommandData fills in the items of an agent's command. It holds no secrets:
// everybody on the machine can read a command line.
type CommandData struct {
	CallID  string
	Attempt int
	Agent   string
	Self    string // path of the running binary
}

// Argv is the agent's command for one attempt of one call.
func (a Agent) Argv(d CommandData) ([]string, error) {
	argv := make([]string, len(a.Command))
	for i, item := range a.Command {
		t, err := commandTemplate(item)
		if err != nil {
			return nil, fmt.Errorf("agent %s: command[%d]: %w", a.Name, i, err)
		}
		var b strings.Builder
		if err := t.Execute(&b, d); err != nil {
			return nil, fmt.Errorf("agent %s: command[%d]: %w", a.Name, i, err)
		}
		argv[i] = b.String()
	}
	return argv, nil
}

var errTemplate = errors.New("may hold {{.CallID}}, {{.Attempt}}, {{.Agent}} and {{.Self}}, and no other template")

// commandTemplate allows text and plain fields only, so that to run it cannot
// fail, loop, or show what is not meant for a command line.
func commandTemplate(item string) (*template.Template, error) {
	t, err := template.New("").Parse(item)
	if err != nil || len(t.Templates()) > 1 {
		return nil, errTemplate
	}
	if t.Tree == nil || t.Root == nil {
		return t, nil
	}
	for _, n := range t.Root.Nodes {
		if n.Type() != parse.NodeText && !isField(n) {
			return nil, errTemplate
		}
	}
	return t, nil
}

func isField(n parse.Node) bool {
	action, ok := n.(*parse.ActionNode)
	if !ok || len(action.Pipe.Decl) > 0 || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Cmds[0].Args) != 1 {
		return false
	}
	field, ok := action.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return false
	}
	switch field.Ident[0] {
	case "CallID", "Attempt", "Agent", "Self":
		return true
	}
	return false
}
