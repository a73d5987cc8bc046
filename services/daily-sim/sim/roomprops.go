// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"net/http"
	"reflect"
	"slices"
	"time"
)

// defaults are left out of a room's config, which shows only what differs.
var propDefaults = map[string]any{
	"start_video_off": false, "start_audio_off": false, "enable_chat": false, "enable_prejoin_ui": true,
	"enable_emoji_reactions": false, "enable_knocking": false, "enable_people_ui": true, "enable_pip_ui": false,
	"enable_hand_raising": false, "enable_shared_chat_history": true, "enforce_unique_user_ids": false,
	"enable_screenshare": true, "enable_dialout": false, "eject_at_room_exp": false, "max_participants": 200.0,
	"sfu_switchover": 0.5, "lang": "en",
}

var boolProps = []string{
	"start_video_off", "start_audio_off", "enable_chat", "enable_prejoin_ui", "enable_emoji_reactions",
	"enable_knocking", "enable_people_ui", "enable_pip_ui", "enable_hand_raising", "enable_shared_chat_history",
	"enforce_unique_user_ids", "enable_screenshare", "enable_dialout", "eject_at_room_exp",
}

var numberProps = []string{"nbf", "exp", "eject_after_elapsed", "max_participants"}

var geos = []string{
	"af-south-1", "ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "ap-south-1", "eu-central-1",
	"eu-west-2", "sa-east-1", "us-east-1", "us-west-2",
}

// checkProps refuses what Daily would; props may hold keys that the simulator does not know.
func checkProps(props map[string]any, maxEndpoints int) *apiError {
	for _, key := range boolProps {
		if v, ok := props[key]; ok && v != nil {
			if _, ok := v.(bool); !ok {
				return invalid("property '%s' must be a boolean", key)
			}
		}
	}
	for _, key := range numberProps {
		if v, ok := props[key]; ok && v != nil {
			if n, ok := v.(float64); !ok || n < 0 {
				return invalid("property '%s' must be a number", key)
			}
		}
	}
	if exp, ok := props["exp"].(float64); ok && exp != 0 && unix(exp).Before(time.Now()) {
		return invalid("'exp' is in the past: %v", exp)
	}
	if geo, ok := props["geo"]; ok && geo != nil {
		if g, _ := geo.(string); !slices.Contains(geos, g) {
			return invalid("property 'geo' is not a known region")
		}
	}
	for _, key := range []string{"sip", "dialin", "dialout_config", "permissions"} {
		if v, ok := props[key]; ok && v != nil {
			if _, ok := v.(map[string]any); !ok {
				return invalid("property '%s' must be an object", key)
			}
		}
	}
	if err := checkPermissions(props, "permissions"); err != nil {
		return err
	}
	if sip, ok := props["sip"].(map[string]any); ok {
		return checkSIP(sip, maxEndpoints)
	}
	return nil
}

func checkSIP(sip map[string]any, maxEndpoints int) *apiError {
	if name, _ := sip["display_name"].(string); name == "" {
		return invalid("property 'sip.display_name' is required")
	}
	if mode, _ := sip["sip_mode"].(string); mode != "dial-in" {
		return invalid("property 'sip.sip_mode' must be 'dial-in'")
	}
	n, set := sip["num_endpoints"]
	count, ok := n.(float64)
	if set && (!ok || count < 1 || count != math.Trunc(count) || int(count) > maxEndpoints) {
		return invalid("property 'sip.num_endpoints' must be between 1 and %d", maxEndpoints)
	}
	if digits, _ := sip["force_digit_only_username"].(bool); digits && count > 1 {
		return invalid("'sip.force_digit_only_username' cannot be combined with more than one endpoint")
	}
	if d, set := sip["dialin_config"]; set {
		if _, ok := d.(map[string]any); !ok {
			return invalid("property 'sip.dialin_config' must be an object")
		}
	}
	return nil
}

// merge lays a partial update over props; null unsets.
func merge(props, update map[string]any) map[string]any {
	merged := map[string]any{}
	for k, v := range props {
		merged[k] = v
	}
	for k, v := range update {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = v
		}
	}
	return merged
}

// config is what the API shows of the properties: only what differs from the defaults.
func (rm *room) config(s *Sim) map[string]any {
	c := map[string]any{}
	for k, v := range rm.props {
		if d, ok := propDefaults[k]; ok && reflect.DeepEqual(d, v) || v == nil {
			continue
		}
		c[k] = v
	}
	if len(rm.endpoints) > 0 {
		prefix := ""
		if s.cfg.SIPPrefix {
			prefix = "sip:"
		}
		uri := map[string]any{"endpoint": prefix + rm.endpoints[0]}
		if len(rm.endpoints) > 1 {
			var extra []string
			for _, e := range rm.endpoints[1:] {
				extra = append(extra, prefix+e)
			}
			uri["extra_endpoints"] = extra
		}
		c["sip_uri"] = uri
	}
	return c
}

func (rm *room) flag(name string) bool {
	v, _ := rm.props[name].(bool)
	return v
}

func (rm *room) number(name string) float64 {
	v, _ := rm.props[name].(float64)
	return v
}

func (rm *room) object(name string) map[string]any {
	v, _ := rm.props[name].(map[string]any)
	return v
}

func (rm *room) dialinConfig() map[string]any {
	v, _ := rm.object("sip")["dialin_config"].(map[string]any)
	return v
}

// grace is how long legs of a kind may stay alone.
func (rm *room) grace(kind string) time.Duration {
	block := rm.object("dialout_config")
	if kind == kindDialin {
		block = rm.dialinConfig()
	}
	sec, _ := block["max_idle_timeout_sec"].(float64)
	return seconds(sec)
}

func (rm *room) allowsStart() bool {
	v, _ := rm.dialinConfig()["allow_room_start"].(bool)
	return v
}

func unix(sec float64) time.Time {
	whole, part := math.Modf(sec)
	return time.Unix(int64(whole), int64(part*1e9))
}

func seconds(sec float64) time.Duration { return time.Duration(sec * float64(time.Second)) }

func fieldString(body map[string]any, key string) (string, *apiError) {
	v, ok := body[key]
	if !ok || v == nil {
		return "", nil
	}
	str, ok := v.(string)
	if !ok {
		return "", &apiError{Status: http.StatusBadRequest, Code: "invalid-request-error", Info: "'" + key + "' must be a string"}
	}
	return str, nil
}
