// SPDX-License-Identifier: Apache-2.0

package sim

import "slices"

// permissions are what a participant may do (Daily guide "Permissions"), as they were set: true, false, or kinds of media.
type permissions struct {
	hasPresence       bool
	canSend, canAdmin any
	base              any // canReceive's three, the later ones before the earlier
	byUser, bySession map[string]any
}

// The kinds that lists can name. REST and daily-js say audio, daily-python says microphone.
var (
	sendKinds    = []string{"video", "audio", "camera", "microphone", "screenVideo", "screenAudio", "customVideo", "customAudio"}
	adminKinds   = []string{"participants", "streaming", "transcription"}
	receiveKinds = []string{"video", "audio", "camera", "microphone", "screenVideo", "screenAudio"}
)

func allPermissions(owner bool) permissions {
	return permissions{hasPresence: true, canSend: true, canAdmin: owner, base: true}
}

// updated lays what is given over what is; null is not given. With an error nothing is.
func (p permissions) updated(change map[string]any) (permissions, *apiError) {
	before := p
	for key, v := range change {
		var err *apiError
		switch {
		case v == nil:
		case key == "hasPresence":
			is, ok := v.(bool)
			if !ok {
				err = invalid("'hasPresence' must be a boolean")
			}
			p.hasPresence = is
		case key == "canSend":
			p.canSend, err = v, checkKinds(key, v, sendKinds)
		case key == "canAdmin":
			p.canAdmin, err = v, checkKinds(key, v, adminKinds)
		case key == "canReceive":
			p, err = p.receiving(v)
		default:
			err = invalid("'%s' is no permission", key)
		}
		if err != nil {
			return before, err
		}
	}
	return p, nil
}

func checkKinds(key string, v any, known []string) *apiError {
	if _, ok := v.(bool); ok {
		return nil
	}
	kinds, err := fieldStrings(map[string]any{key: v}, key, len(known))
	if err != nil {
		return invalid("'%s' must be a boolean or an array of strings", key)
	}
	for _, kind := range kinds {
		if !slices.Contains(known, kind) {
			return invalid("'%s': unknown kind '%s'", key, kind)
		}
	}
	return nil
}

// receiving changes canReceive: each of base, byUserId and byParticipantId that is given takes the place of what was.
func (p permissions) receiving(v any) (permissions, *apiError) {
	change, ok := v.(map[string]any)
	if !ok {
		return p, invalid("'canReceive' must be an object")
	}
	if base, set := change["base"]; set {
		if !isReceivable(base) {
			return p, invalid("'canReceive.base' must be a boolean or an object of booleans")
		}
		p.base = base
	}
	for key, to := range map[string]*map[string]any{"byUserId": &p.byUser, "byParticipantId": &p.bySession} {
		if _, set := change[key]; !set {
			continue
		}
		by, err := fieldObject(change, key)
		if err != nil {
			return p, invalid("'canReceive.%s' must be an object", key)
		}
		for _, one := range by {
			if !isReceivable(one) {
				return p, invalid("'canReceive.%s' must have booleans or objects of booleans", key)
			}
		}
		*to = by
	}
	return p, nil
}

func isReceivable(v any) bool {
	if _, ok := v.(bool); ok {
		return true
	}
	kinds, ok := v.(map[string]any)
	for kind, one := range kinds {
		_, isBool := one.(bool)
		ok = ok && isBool && slices.Contains(receiveKinds, kind)
	}
	return ok
}

// speaks tells whether what the participant says may leave it.
func (p permissions) speaks() bool {
	return p.hasPresence && allows(p.canSend, "audio", "microphone")
}

// administers tells whether it may do to others what owners may.
func (p permissions) administers() bool { return allows(p.canAdmin, "participants") }

func allows(v any, kinds ...string) bool {
	list, _ := v.([]any)
	return v == true || slices.ContainsFunc(list, func(one any) bool {
		name, _ := one.(string)
		return slices.Contains(kinds, name)
	})
}

// hears tells whether what a speaker says may reach the participant: the most specific of the three rules counts.
func (p permissions) hears(speaker *participant) bool {
	may := true
	for _, rule := range []any{p.base, p.byUser[speaker.webID()], p.bySession[speaker.id]} {
		switch rule := rule.(type) {
		case bool:
			may = rule
		case map[string]any:
			for _, kind := range []string{"audio", "microphone"} {
				if audio, ok := rule[kind].(bool); ok {
					may = audio
				}
			}
		}
	}
	return may
}

func (p permissions) view() map[string]any {
	receive := map[string]any{"base": p.base}
	if len(p.byUser) > 0 {
		receive["byUserId"] = p.byUser
	}
	if len(p.bySession) > 0 {
		receive["byParticipantId"] = p.bySession
	}
	return map[string]any{"hasPresence": p.hasPresence, "canSend": p.canSend, "canReceive": receive, "canAdmin": p.canAdmin}
}

// permissionsAtJoin are those of somebody who comes in: the room's for who is no owner, and over them those that came
// along, in the token or in the start of a dial-out. What cannot be read, in a token signed elsewhere, changes nothing.
func permissionsAtJoin(rm *room, owner bool, own map[string]any) permissions {
	p := allPermissions(owner)
	if !owner {
		p, _ = p.updated(rm.object("permissions"))
	}
	p, _ = p.updated(own)
	return p
}

// legPermissions are those of a phone, where permissions count for phones at all.
func (s *Sim) legPermissions(rm *room, own map[string]any) permissions {
	if s.cfg.Permissions.Legs == "ignored" {
		return allPermissions(false)
	}
	return permissionsAtJoin(rm, false, own)
}

// checkPermissions refuses permissions that no participant can have.
func checkPermissions(body map[string]any, key string) *apiError {
	given, err := fieldObject(body, key)
	if err != nil {
		return err
	}
	if _, err := allPermissions(false).updated(given); err != nil {
		return invalid("'%s': %s", key, err.Info)
	}
	return nil
}
