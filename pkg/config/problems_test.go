// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"strings"
	"testing"

	"github.com/trunkline/trunkline/pkg/config"
)

// broken holds files and exactly what is to be said about them, a line each.
// The name of the file is left out.
var broken = map[string]struct{ file, want string }{
	"an empty file": {"", `
1: agents: is missing
1: routes: is missing`},
	"nothing but a comment": {"# later\n", `
1: agents: is missing
1: routes: is missing`},
	"no mapping":                  {"- a\n", "1: must be a mapping of keys to values"},
	"a number":                    {"5", "1: must be a mapping of keys to values"},
	"no YAML":                     {"region: US\nnats: [\n", "3: is not YAML: did not find expected node content"},
	"a tab":                       {"nats:\n\turl: x\n", "2: is not YAML: found character that cannot start any token"},
	"two documents":               {minimal + "---\n" + minimal, "6: a second document begins here; there must be one"},
	"an unknown tag":              {"region: !secret x" + minimal, "1: region: the tag !secret is not supported"},
	"an unknown alias":            {"region: *x" + minimal, "1: is not YAML: unknown anchor 'x' referenced"},
	"a merge of a text":           {"nats: {<<: text}" + minimal, "1: nats: << must name a mapping, or a list of mappings"},
	"a mapping that holds itself": {"nats: &n\n  url: *n" + minimal, "2: nats.url: is an alias of what holds it"},
	"a key that is a list":        {"[a, b]: c" + minimal, "1: a key must be a plain word"},

	"unknown keys": {`
regoin: US
nats: {maxAge: 1h, servers: x}
agents:
  support: {command: [bot], slotz: 5}
routes:
  - {default: true, agent: support, budget: 5s}
x: 1
`, `
2: regoin: is not a known key, did you mean region?
3: nats.maxAge: is not a known key, did you mean max_age?
3: nats.servers: is not a known key
5: agents.support.slotz: is not a known key, did you mean slots?
7: routes[0].budget: is not a known key
8: x: is not a known key`},

	"keys given twice": {`
region: US
region: GB
agents:
  support: {command: [bot]}
  support: {command: [bot]}
routes:
  - {default: true, agent: support, agent: support}
region: DE
`, `
3: region: is given twice, first in line 2
6: agents.support: is given twice, first in line 5
8: routes[0].agent: is given twice, first in line 8
9: region: is given twice, first in line 2`},

	"wrong types": {`
region: 49
nats: {replicas: three, max_age: 7}
listen:
daily: {budget: {unlimited: yes, dials_per_5s: 1.5}}
agents:
  support: {command: bot, slots: .inf, linger: soon, env: {A: [b], B: }}
routes:
  - {number: +14155550100, agent: support}
  - {default: true, agent: support}
log: loud
`, `
2: region: must be a region of two capital letters, such as US
3: nats.max_age: must be a duration, such as 90s or 1h30m
3: nats.replicas: must be a whole number
4: listen: has no value: give it one, or leave the key out
5: daily.budget.dials_per_5s: must be a whole number
5: daily.budget.unlimited: must be true or false
7: agents.support.command: must be a list
7: agents.support.env.A: must be a single value
7: agents.support.env.B: has no value: give it one, or leave the key out
7: agents.support.linger: must be a duration, such as 90s or 1h30m
7: agents.support.slots: is not a number that can be used
9: routes[0].number: must be a text: put it in quotes
11: log: must be a mapping of keys to values`},

	"beyond limits": {`
nats: {url: "", replicas: 2}
ingress: {dialin_paths: [], max_body: 1}
daily: {privacy: secret, sip_display_name: "", budget: {dials_per_5s: 0}}
agents:
  support: {command: [], slots: 0, backend: docker, pass_env: [A, B, A, 1C]}
  sales: {command: [bot], slots: 10001, lease: 99999999999h}
routes:
  - {default: true, agent: support}
log: {format: xml, level: loud}
`, `
2: nats.replicas: must be 1, 3 or 5
2: nats.url: must not be empty
3: ingress.dialin_paths: must not be empty
3: ingress.max_body: must be at least 1024
4: daily.budget.dials_per_5s: must be at least 1
4: daily.privacy: must be private or public
4: daily.sip_display_name: must not be empty
6: agents.support.backend: must be process, runner, pod or pipecat-cloud
6: agents.support.command: must not be empty
6: agents.support.pass_env[2]: is the same as [0]
6: agents.support.pass_env[3]: is not the name of an environment variable
6: agents.support.slots: must be at least 1
7: agents.sales.lease: must be a duration, such as 90s or 1h30m
7: agents.sales.slots: must be at most 10000
10: log.format: must be text or json
10: log.level: must be debug, info, warn or error`},

	"backends": {`
agents:
  support: {}
  local: {backend: runner, command: [bot], warm: 1, lease: 20s}
  pods: {backend: pod, url: "bots:8080", cloud_agent: x}
  cloud: {backend: pipecat-cloud, url: "https://api-{{.Slot}}.example.com", heartbeat: 1s}
  numbered: {backend: pod, url: "http://bots-{{.Slot}}.bots:8080"}
  other: {backend: pod, url: "http://bots-{{.CallID}}:8080"}
  warm: {command: [bot, "{{.CallID}}"], warm: 2, url: "http://bots:8080"}
routes:
  - {default: true, agent: support}
`, `
3: agents.support.command: is missing
4: agents.local.command: is for backend process, not runner
4: agents.local.lease: is for backend process, not runner
4: agents.local.url: is missing: backend runner is asked for bots there
4: agents.local.warm: is for backend process, not runner
5: agents.pods.cloud_agent: is for backend pipecat-cloud, not pod
5: agents.pods.url: must be an address http://… or https://…
6: agents.cloud.backend: needs gateway.url: bots at Pipecat Cloud must reach the gateway
6: agents.cloud.heartbeat: must be 0s or at least 2s
6: agents.cloud.url: must be without {{.Slot}}: Pipecat Cloud has one address for all
8: agents.other.url: must be an address http://… or https://…
9: agents.warm.command[1]: must be without {{.CallID}} and {{.Attempt}}, because warm workers are started before their call is known
9: agents.warm.url: is for backend runner, pod, pipecat-cloud, not process`},

	"Pipecat Cloud in the clear": {`
gateway: {url: "http://bots.example.com"}
agents:
  support: {backend: pipecat-cloud, url: "http://api.pipecat.daily.co/v1"}
routes:
  - {default: true, agent: support}
`, `
2: gateway.url: must begin with https://, or the tokens of bots at Pipecat Cloud are for all to read
4: agents.support.url: must begin with https://, or the keys are for all to read`},

	"names": {`
agents:
  Support: {command: [bot]}
  "a.b": {command: [bot], slots: 0}
  support: {command: [bot], env: {"A B": x, C: y}}
routes:
  - {default: true, agent: Support}
  - {number: "+14155550100", agent: suport}
`, `
3: agents.Support: a name is up to 40 lower-case letters, digits, - and _, and begins with a letter or digit
4: agents["a.b"]: a name is up to 40 lower-case letters, digits, - and _, and begins with a letter or digit
4: agents["a.b"].slots: must be at least 1
5: agents.support.env["A B"]: is not the name of an environment variable
8: routes[1].agent: there is no agent of this name, did you mean support?`},

	"addresses": {`
public_url: http://calls.example.com
nats: {url: "nats://user:pw@a:4222,http://b"}
listen: {ingress: "8080", gateway: "127.0.0.1:9090", control: ":70000"}
daily: {api_url: "http://api.daily.co/v1"}
gateway: {url: "bots.example.com:80"}
` + minimal, `
2: public_url: must be an address https://…
3: nats.url: must be an address nats://…, tls://…, ws://… or wss://…
3: nats.url: must hold no password or token: set NATS_NKEY, or name a file in nats.credentials
4: listen.admin: 127.0.0.1:9090 is taken by listen.gateway (127.0.0.1:9090)
4: listen.control: must be host:port, such as "127.0.0.1:8080" or ":8080"
4: listen.ingress: must be host:port, such as "127.0.0.1:8080" or ":8080"
5: daily.api_url: must begin with https://, or the account key is for all to read
6: gateway.url: must be an address http://… or https://…`},

	"URLs with more than a path": {`
public_url: https://u:p@calls.example.com
daily: {api_url: "https://api.daily.co/v1?x=1"}
gateway: {url: "https://bots.example.com/#top"}
` + minimal, `
2: public_url: must hold no user or password
3: daily.api_url: must end with its path, without ? or #
4: gateway.url: must end with its path, without ? or #`},

	"paths": {`
ingress:
  dialin_paths:
    - /start
    - /daily-events
    - /start
    - start
` + minimal, "7: ingress.dialin_paths[3]: must be a path such as /daily-events, without a slash at its end"},

	"paths that are right each": {`
ingress:
  dialin_paths:
    - /start
    - /daily-events
    - /start
` + minimal, `
5: ingress.dialin_paths[1]: is ingress.events_path, too
6: ingress.dialin_paths[2]: is the same as [0]`},

	"durations": {`
nats: {max_age: 0s}
ingress: {max_age: 0s, publish_timeout: -1s}
daily: {max_idle_timeout: 1500ms, janitor_interval: 14s, presence_settle: 0s}
agents:
  support: {command: [bot], ready_timeout: 0s, linger: 0s, kill_grace: 0s, lease: 2s}
routes:
  - {default: true, agent: support, answer_budget: 0s, max_duration: 0s}
`, `
2: nats.max_age: must be longer than 0s
3: ingress.max_age: must be longer than 0s
3: ingress.publish_timeout: must be a duration, such as 90s or 1h30m
4: daily.janitor_interval: must be at least 15s, because Daily asks for no more
4: daily.max_idle_timeout: must be in whole seconds
4: daily.presence_settle: must be longer than 0s
6: agents.support.kill_grace: must be longer than 0s
6: agents.support.lease: must be at least 3s
6: agents.support.ready_timeout: must be longer than 0s
8: routes[0].answer_budget: must be longer than 0s
8: routes[0].max_duration: must be longer than 0s`},

	"durations that do not fit together": {`
nats:
  max_age: 2h
daily: {janitor_interval: 2m}
agents:
  support: {command: [bot], ready_timeout: 90s, kill_grace: 15s}
routes:
  - {default: true, agent: support}
  - {number: "+14155550100", agent: support, answer_budget: 2m, max_duration: 2h}
`, `
3: nats.max_age: must be longer than a call by routes[1] can last (2h2m)
4: daily.presence_settle: must be longer than daily.janitor_interval (2m)
6: agents.support.kill_grace: must be shorter than lease (15s), or a slot is free while its bot lives
8: routes[0].answer_budget: 1m30s must be longer than agents.support.ready_timeout (1m30s)`},

	"a call longer than its record": {`
agents: {support: {command: [bot]}}
routes:
  - {default: true, agent: support}
  - number: "+14155550100"
    agent: support
    max_duration: 2000000h
`, "7: routes[1].max_duration: a call would last longer than nats.max_age (168h) keeps it"},

	"commands": {`
agents:
  support:
    command:
      - ""
      - "{{.Secret}}"
      - "{{"
      - "{{range 9}}x{{end}}"
      - "{{define \"x\"}}{{end}}"
      - "{{.CallID}}{{.Self | len}}"
      - "{{.CallID}}"
    env: {TRUNKLINE_SECRET: x, A: b}
    pass_env: [DAILY_API_KEY, DAILY_PINLESS_HMAC_FILE, A]
routes: [{default: true, agent: support}]
`, `
5: agents.support.command[0]: must name the program
6: agents.support.command[1]: may hold {{.CallID}}, {{.Attempt}}, {{.Agent}} and {{.Self}}, and no other template
7: agents.support.command[2]: may hold {{.CallID}}, {{.Attempt}}, {{.Agent}} and {{.Self}}, and no other template
8: agents.support.command[3]: may hold {{.CallID}}, {{.Attempt}}, {{.Agent}} and {{.Self}}, and no other template
9: agents.support.command[4]: may hold {{.CallID}}, {{.Attempt}}, {{.Agent}} and {{.Self}}, and no other template
10: agents.support.command[5]: may hold {{.CallID}}, {{.Attempt}}, {{.Agent}} and {{.Self}}, and no other template
12: agents.support.env.TRUNKLINE_SECRET: must not be given to a bot: it gets a token for its own call
13: agents.support.pass_env[0]: DAILY_API_KEY must not be given to a bot: it gets a token for its own call
13: agents.support.pass_env[1]: DAILY_PINLESS_HMAC_FILE must not be given to a bot: it gets a token for its own call
13: agents.support.pass_env[2]: A is set in env already`},

	"routes": {`
region: DE
agents: {support: {command: [bot]}}
routes:
  - {number: "+14155550100", agent: support}
  - {number: "+1 (415) 555-0100", agent: support}
  - {number: "415 5550100 ext 1", agent: support}
  - {number: anonymous, agent: support}
  - {number: "sip:a@b.c", agent: support}
  - {number: "SIPS:A@B.C;x=y", agent: support}
  - {agent: support}
  - {default: true, number: "+14155550101", agent: support}
  - {default: true, agent: support}
  - {number: ""}
  - 5
`, `
14: routes[9].agent: is missing
14: routes[9].number: must not be empty
15: routes[10]: must be a mapping of keys to values`},

	"routes that are right by the schema": {`
region: DE
agents: {support: {command: [bot]}}
routes:
  - {number: "+14155550100", agent: support}
  - {number: "+1 (415) 555-0100", agent: support}
  - {number: "415 5550100 ext 1", agent: support}
  - {number: anonymous, agent: support}
  - {number: "sip:a@b.c", agent: support}
  - {number: "SIPS:A@B.C;x=y", agent: support}
  - {agent: support}
  - {default: true, number: "+14155550101", agent: support}
  - {default: true, agent: support}
`, `
6: routes[1].number: is the number of routes[0], too
7: routes[2].number: must be a phone number (of DE, unless it begins with +) or a sip: URI
8: routes[3].number: must be a phone number (of DE, unless it begins with +) or a sip: URI
10: routes[5].number: is the number of routes[4], too
11: routes[6]: must have a number, or default: true
12: routes[7].number: must not be given for the default route
13: routes[8].default: routes[7] is the default already`},

	"no default route, and no such region": {`
region: XX
agents: {support: {command: [bot]}}
routes:
  - {number: "+14155550100", agent: support}
`, `
2: region: is not a region that has phone numbers
4: routes: one route must be the default (default: true)`},

	"what docs/configuration.md shows": {`agents:
  support:
    slotz: 5
    command: [python, bot.py]
routes:
  - default: true
    agent: suport
  - number: +14155550100
    agent: support
`, `
3: agents.support.slotz: is not a known key, did you mean slots?
7: routes[0].agent: there is no agent of this name, did you mean support?
8: routes[1].number: must be a text: put it in quotes`},

	"dial-outs": {`
control: {requests_per_second: 0}
agents:
  support: {command: [bot], dial: bot, caller_id: "+14155550100", max_dialouts: -1}
  sales: {command: [bot], dial: me, dialouts_per_second: fast}
dialout:
  retries:
    - {cause: busy, delay: 1m, limit: 1}
    - {cause: error, limit: 11}
  errors:
    - {pattern: "", cause: error}
    - {pattern: busy, cause: busy}
routes: [{default: true, agent: support}]
`, `
2: control.requests_per_second: must be at least 1
4: agents.support.caller_id: must be Daily's id of a number, a UUID, and not the number itself
4: agents.support.dial: needs owner: true, because Daily lets only owners dial
4: agents.support.max_dialouts: must be at least 0
5: agents.sales.dial: must be trunkline or bot
5: agents.sales.dialouts_per_second: must be a number
8: dialout.retries[0].cause: must be no_answer, not_answered, error or voicemail
9: dialout.retries[1].delay: is missing
9: dialout.retries[1].limit: must be at most 10
11: dialout.errors[0].pattern: must not be empty
12: dialout.errors[1].cause: must be no_answer, not_answered, error, invalid_number, not_enabled or international`},

	"dial-outs that are right by the schema": {`
dialout:
  ring_timeout: 301s
  max_duration: 500ms
  answer_budget: 0s
  window: 0s
  lost_after: 90s
  retries:
    - {cause: error, delay: 0s, limit: 1}
    - {cause: voicemail, delay: 1h, limit: 1}
    - {cause: error, delay: 200h, limit: 1}
  errors:
    - {pattern: "busy", cause: not_answered}
    - {pattern: "bu(sy", cause: not_answered}
` + minimal, `
3: dialout.ring_timeout: must be at most 5m
4: dialout.max_duration: must be at least 1s
5: dialout.answer_budget: must be longer than 0s
6: dialout.window: must be longer than 0s
7: dialout.lost_after: must be longer than dialout.ring_timeout (5m1s), or a phone is given up while it rings
9: dialout.retries[0].delay: must be at least 1s
11: dialout.retries[2].cause: error is that of retries[0], too
11: dialout.retries[2].delay: must be at most 168h
14: dialout.errors[1].pattern: is not a regular expression: error parsing regexp: missing closing ): ` + "`(?i)bu(sy`"},

	"policy": {`
policy:
  countries: [us, US, US]
  blocked_prefixes: ["1900", "+1900", "+0"]
  hours: {from: "9:00", to: "24:00", days: [mon, Tue, mon]}
  per_number: {calls: -1, window: a day}
  max_concurrent: 0
  per_second: -1
` + minimal, `
3: policy.countries[0]: must be a region of two capital letters, such as US
3: policy.countries[2]: is the same as [1]
4: policy.blocked_prefixes[0]: must be + and digits, in quotes, such as "+1900"
4: policy.blocked_prefixes[2]: must be + and digits, in quotes, such as "+1900"
5: policy.hours.days[1]: must be mon, tue, wed, thu, fri, sat or sun
5: policy.hours.days[2]: is the same as [0]
5: policy.hours.from: must be a time of day in quotes, such as "09:00"
5: policy.hours.to: must be a time of day in quotes, such as "09:00"
6: policy.per_number.calls: must be at least 0
6: policy.per_number.window: must be a duration, such as 90s or 1h30m
7: policy.max_concurrent: must be at least 1
8: policy.per_second: must be at least 0`},

	"policy that is right by the schema": {`
policy:
  countries: [US, XX]
  hours:
    from: "09:00"
    to: "09:00"
  per_number: {window: 0s}
  per_second: 0
` + minimal, `
3: policy.countries[1]: is not a region that has phone numbers
6: policy.hours.to: must not be policy.hours.from; leave both out for the whole day
7: policy.per_number.window: must be longer than 0s
8: policy.per_second: must be more than 0`},

	"hours with one end": {`
policy:
  hours: {from: "09:00"}
` + minimal, `
3: policy.hours: must have both from and to, or neither`},

	"dial-outs that do not fit the rest": {`
nats:
  max_age: 48h
agents:
  support: {command: [bot], ready_timeout: 60s}
routes: [{default: true, agent: support}]
policy:
  countries: [US]
  per_number:
    window: 49h
`, `
3: nats.max_age: must be longer than a dial-out can last, and a day (49h2m30s)
5: agents.support.ready_timeout: 1m must be shorter than dialout.answer_budget (1m)
10: policy.per_number.window: must not be longer than nats.max_age (48h): older dials are forgotten`},

	"a window longer than the record": {`
dialout:
  answer_budget: 10s
  window: 168h
policy:
  countries: [US]
` + minimal, `
3: dialout.answer_budget: 10s must be longer than agents.support.ready_timeout (10s)
4: dialout.window: a dial-out would last longer than nats.max_age (168h), less a day, keeps it`},

	"targets": {`
listen: {transfer: 8083}
control: {url: control}
targets:
  Desk: {numbers: []}
  desk:
    nummbers: ["+14155550100"]
    strategy: at_once
    ring_timeout: 1 minute
    hours: {from: "9:00", days: [Mon], zone: UTC}
    caller_id: "+14155550100"
    modes: [cold, cold, hot]
    no_answer: {then: voicemail}
  night: {numbers: [+14155550100, ""], modes: [], bot_leaves: maybe}
transfer: {announce_timeout: soon, url: 5}
agents:
  support: {command: [bot], targets: [desk, desk, ""]}
routes:
  - {default: true, agent: support, overflow: 5}
`, `
2: listen.transfer: must be a text: put it in quotes
3: control.url: must be an address http://… or https://…
5: targets.Desk: a name is up to 40 lower-case letters, digits, - and _, and begins with a letter or digit
5: targets.Desk.numbers: must not be empty
6: targets.desk.numbers: is missing
7: targets.desk.nummbers: is not a known key, did you mean numbers?
8: targets.desk.strategy: must be in_order or all_at_once
9: targets.desk.ring_timeout: must be a duration, such as 90s or 1h30m
10: targets.desk.hours.days[0]: must be mon, tue, wed, thu, fri, sat or sun
10: targets.desk.hours.from: must be a time of day in quotes, such as "09:00"
10: targets.desk.hours.zone: is not a known key
11: targets.desk.caller_id: must be Daily's id of a number, a UUID, and not the number itself
12: targets.desk.modes[1]: is the same as [0]
12: targets.desk.modes[2]: must be cold, warm, blind or refer
13: targets.desk.no_answer.then: must be bot, target or end
14: targets.night.bot_leaves: must be true or false
14: targets.night.modes: must not be empty
14: targets.night.numbers[0]: must be a text: put it in quotes
14: targets.night.numbers[1]: must not be empty
15: transfer.announce_timeout: must be a duration, such as 90s or 1h30m
15: transfer.url: must be a text: put it in quotes
17: agents.support.targets[1]: is the same as [0]
17: agents.support.targets[2]: must not be empty
19: routes[0].overflow: must be a text: put it in quotes`},

	"targets that are right by the schema": {`
listen: {transfer: ":9090"}
targets:
  a:
    numbers: ["+14155550100", anonymous, "(415) 555-0100", "sip:A@b.c", "SIP:a@B.C", 12]
  b:
    numbers: ["+14155550100", "+14155550101", "+14155550102", "+14155550103", "+14155550104"]
    strategy: all_at_once
    ring_timeout: 500ms
    hours: {from: "09:00"}
    no_answer: {target: a, message: Goodbye.}
  c:
    numbers: ["+14155550100"]
    ring_timeout: 301s
    hours: {from: "09:00", to: "09:00", timezone: Europe/Berln}
    no_answer: {then: target}
  d:
    numbers: ["+14155550100"]
    hours: {timezone: Local}
    no_answer: {then: target, target: cc, message: Goodbye.}
transfer:
  announce_timeout: 0s
  brief_timeout: 6m
  message_timeout: 500ms
  lost_after: 4s
  url: transfer:8083
` + minimal, `
2: listen.admin: 127.0.0.1:9090 is taken by listen.transfer (:9090)
5: targets.a.numbers[5]: must be a text: put it in quotes
7: targets.b.numbers: must be at most 4 to ring all at once: Daily has five phones in a room, and one is the caller's
9: targets.b.ring_timeout: must be at least 1s
10: targets.b.hours: must have both from and to, or neither
11: targets.b.no_answer.message: is for then: end alone
11: targets.b.no_answer.target: is for then: target alone
14: targets.c.ring_timeout: must be at most 5m
15: targets.c.hours.timezone: is not a time zone of the IANA database, such as Europe/Berlin
15: targets.c.hours.to: must not be targets.c.hours.from; leave both out for the whole day
16: targets.c.no_answer: must name a target, as it says then: target
19: targets.d.hours.timezone: is not a time zone of the IANA database, such as Europe/Berlin
20: targets.d.no_answer.message: is for then: end alone
20: targets.d.no_answer.target: there is no target of this name, did you mean c?
22: transfer.announce_timeout: must be at least 1s
23: transfer.brief_timeout: must be at most 5m
24: transfer.message_timeout: must be at least 1s
25: transfer.lost_after: must be at least 5s
26: transfer.url: must be an address http://… or https://…`},

	"numbers of targets": {`
targets:
  a:
    numbers:
      - "+14155550100"
      - anonymous
      - "(415) 555-0100"
      - "sip:A@b.c"
      - "SIP:a@B.C"
      - +1 415
` + minimal, `
6: targets.a.numbers[1]: must be a phone number (of US, unless it begins with +) or a sip: URI
7: targets.a.numbers[2]: is the same as [0]
9: targets.a.numbers[4]: is the same as [3]
10: targets.a.numbers[5]: must be a phone number (of US, unless it begins with +) or a sip: URI`},

	"targets in a circle": {`
targets:
  a: {numbers: ["sip:a@b.c"], no_answer: {then: target, target: a}}
  b: {numbers: ["sip:a@b.c"], no_answer: {then: target, target: d}}
  c: {numbers: ["sip:a@b.c"], no_answer: {then: target, target: d}}
  d: {numbers: ["sip:a@b.c"], no_answer: {then: target, target: c}}
  e: {numbers: ["sip:a@b.c"], no_answer: {then: target, target: f}}
  f: {numbers: ["sip:a@b.c"]}
` + minimal, `
3: targets.a.no_answer.target: leads back to where it began: a, a
6: targets.d.no_answer.target: leads back to where it began: d, c, d`},

	"targets that are used": {`
policy: {countries: [GB, IE]}
targets:
  desk: {numbers: ["+442079460000", "+14155550100", "sip:a@b.c"], no_answer: {then: target, target: night}}
  night: {numbers: ["+80012345678"], modes: [blind, refer]}
  nobodys: {numbers: ["+14155550100"]}
agents:
  support: {command: [bot], targets: [desk, dask]}
routes:
  - {default: true, agent: support, overflow: night}
  - {number: "+14155550100", agent: support, overflow: knight}
`, `
4: targets.desk.numbers[1]: belongs to US, and policy.countries has GB, IE: policy would refuse every call to it
5: targets.night.numbers[0]: belongs to no country: policy would refuse every call to it
8: agents.support.targets[1]: there is no target of this name, did you mean desk?
10: routes[0].overflow: targets.night.modes must have cold: there is no bot that could do anything else
11: routes[1].overflow: there is no target of this name, did you mean night?`},

	"a target where nobody may be called": {`
targets: {desk: {numbers: ["+14155550100"]}}
agents: {support: {command: [bot], targets: [desk]}}
routes: [{default: true, agent: support}]
`, `
2: targets.desk.numbers[0]: belongs to US, and policy.countries has none: policy would refuse every call to it`},

	"what is wrong where it is merged from": {`
agents:
  a: &a
    command: [bot]
    slots: 0
  b:
    <<: *a
    owner: maybe
routes: [{default: true, agent: a}]
`, `
5: agents.a.slots: must be at least 1
5: agents.b.slots: must be at least 1
8: agents.b.owner: must be true or false`},
}

func TestProblems(t *testing.T) {
	for name, c := range broken {
		t.Run(name, func(t *testing.T) {
			got, err := config.Parse("f", []byte(c.file))
			if err == nil || got != nil {
				t.Fatalf("a broken file was taken: %+v", got)
			}
			want := "f:" + strings.ReplaceAll(strings.TrimSpace(c.want), "\n", "\nf:")
			if err.Error() != want {
				t.Errorf("got\n%s\nwant\n%s", err, want)
			}
		})
	}
}

// Aliases of aliases must not take the machine with them.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("region: US\nx0: &x0 [a, b, c, d, e, f, g, h]\n")
	for i := 1; i < 12; i++ {
		a := "*x" + string(rune('a'+i-1))
		if i == 1 {
			a = "*x0"
		}
		b.WriteString("x" + string(rune('a'+i)) + ": &x" + string(rune('a'+i)) + " [" + strings.Repeat(a+", ", 8) + a + "]\n")
	}
	if _, err := config.Parse("f", []byte(b.String())); err == nil || !strings.Contains(err.Error(), "aliases") {
		t.Errorf("got %v", err)
	}
}
