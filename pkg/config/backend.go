// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pipecatCloudURL is Pipecat Cloud's own API.
const pipecatCloudURL = "https://api.pipecat.daily.co/v1"

// slotItem stands in an agent's url for the number of the bot's slot.
const slotItem = "{{.Slot}}"

// Where is the address that a bot for a slot is asked for at.
func (a Agent) Where(slot int) string {
	url := a.URL
	if a.Backend == PipecatCloud {
		url = cmp.Or(url, pipecatCloudURL)
	}
	return strings.TrimRight(strings.ReplaceAll(url, slotItem, strconv.Itoa(slot)), "/")
}

// Cloud is the agent's name at Pipecat Cloud.
func (a Agent) Cloud() string { return cmp.Or(a.CloudAgent, a.Name) }

// leastHeartbeat is more than a bot's way to the gateway may take.
const leastHeartbeat = 2 * time.Second

// checkBackend wants what the agent's backend needs, and nothing that it does not know.
func checkBackend(d *document, path string, a Agent, gateway string) {
	switch a.Backend {
	case Process:
		if len(a.Command) == 0 && !d.given(child(path, "command")) {
			d.report(child(path, "command"), "is missing", child(path, "backend"))
		}
	case Runner, Pod:
		if a.URL == "" {
			d.report(child(path, "url"), "is missing: backend "+a.Backend+" is asked for bots there", child(path, "backend"))
		}
	case PipecatCloud:
		switch plain := strings.HasPrefix(strings.ToLower(gateway), "http:"); {
		case gateway == "":
			d.report(child(path, "backend"), "needs gateway.url: bots at Pipecat Cloud must reach the gateway", "gateway.url")
		case plain && isDaily(a.Where(0)):
			d.report("gateway.url", "must begin with https://, or the tokens of bots at Pipecat Cloud are for all to read", child(path, "backend"))
		}
		if isDaily(a.Where(0)) && strings.HasPrefix(strings.ToLower(a.URL), "http:") {
			d.report(child(path, "url"), "must begin with https://, or the keys are for all to read")
		}
	}
	if a.URL != "" && a.Backend != Process {
		checkURL(d, child(path, "url"), a.Where(0), false, "http", "https")
	}
	if a.Backend == PipecatCloud && strings.Contains(a.URL, slotItem) {
		d.report(child(path, "url"), "must be without "+slotItem+": Pipecat Cloud has one address for all")
	}
	if a.Heartbeat != 0 && a.Heartbeat < leastHeartbeat {
		d.report(child(path, "heartbeat"), "must be 0s or at least "+span(leastHeartbeat))
	}
	for i, text := range a.Command {
		if a.Warm > 0 && (strings.Contains(text, ".CallID") || strings.Contains(text, ".Attempt")) {
			d.report(item(child(path, "command"), i), "must be without {{.CallID}} and {{.Attempt}}, because warm workers are started before their call is known", child(path, "warm"))
		}
	}
	known := map[string][]string{
		"url": {Runner, Pod, PipecatCloud}, "cloud_agent": {PipecatCloud}, "command": {Process}, "dir": {Process}, "env": {Process},
		"pass_env": {Process}, "warm": {Process}, "memory_limit": {Process}, "kill_grace": {Process}, "lease": {Process},
	}
	for key, backends := range known {
		if p := child(path, key); d.given(p) && !slices.Contains(backends, a.Backend) {
			d.report(p, "is for backend "+strings.Join(backends, ", ")+", not "+a.Backend, child(path, "backend"))
		}
	}
}

// given reports whether the file says something about a key.
func (d *document) given(path string) bool {
	_, written := d.lines[path]
	return written
}
