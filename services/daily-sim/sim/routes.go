// SPDX-License-Identifier: Apache-2.0

package sim

import "net/http"

// routes is the whole HTTP surface: REST under /v1/, the join protocol at the room URLs, the control API
// under /sim/.
func (s *Sim) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]restHandler{
		"GET /v1/{$}":                              s.getDomain,
		"POST /v1/{$}":                             s.setDomain,
		"POST /v1/rooms":                           s.createRoom,
		"GET /v1/rooms":                            s.listRooms,
		"GET /v1/rooms/{name}":                     s.getRoom,
		"POST /v1/rooms/{name}":                    s.updateRoom,
		"DELETE /v1/batch/rooms":                   s.deleteRooms,
		"GET /v1/rooms/{name}/presence":            s.roomPresence,
		"POST /v1/rooms/{name}/eject":              s.eject,
		"POST /v1/rooms/{name}/update-permissions": s.updatePermissions,
		"POST /v1/rooms/{name}/sipRefer":           s.sipRefer,
		"POST /v1/rooms/{name}/dialOut/stop":       s.stopDialOut,
		"POST /v1/rooms/{name}/dialOut/sendDTMF":   s.sendDTMF,
		"GET /v1/presence":                         s.presence,
		"GET /v1/meetings":                         s.listMeetings,
		"GET /v1/meetings/{id}":                    s.getMeeting,
		"GET /v1/meetings/{id}/participants":       s.getMeetingParticipants,
		"POST /v1/meeting-tokens":                  s.createToken,
		"GET /v1/meeting-tokens/{token}":           s.readToken,
		"POST /v1/dialin/pinlessCallUpdate":        s.pinlessCallUpdate,
		"POST /v1/domain-dialin-config":            s.createConfig,
		"GET /v1/domain-dialin-config":             s.listConfigs,
		"GET /v1/domain-dialin-config/{id}":        s.getConfig,
		"PUT /v1/domain-dialin-config/{id}":        s.updateConfig,
		"DELETE /v1/domain-dialin-config/{id}":     s.deleteConfig,
		"POST /v1/webhooks":                        s.createWebhook,
		"GET /v1/webhooks":                         s.listWebhooks,
		"GET /v1/webhooks/{uuid}":                  s.getWebhook,
		"POST /v1/webhooks/{uuid}":                 s.updateWebhook,
		"DELETE /v1/webhooks/{uuid}":               s.deleteWebhook,
		"GET /v1/purchased-phone-numbers":          s.listNumbers,
		"POST /v1/buy-phone-number":                s.buyNumber,
		"DELETE /v1/release-phone-number/{id}":     s.releaseNumber,
		"/v1/":                                     s.unknown,
	} {
		mux.Handle(pattern, s.rest(classMost, handle))
	}
	mux.Handle("DELETE /v1/rooms/{name}", s.rest(classDelete, s.deleteRoom))
	mux.Handle("POST /v1/rooms/{name}/dialOut/start", s.rest(classDial, s.startDialOut))
	mux.Handle("POST /v1/rooms/{name}/sipCallTransfer", s.rest(s.cfg.Transfers.Budget, s.sipCallTransfer))
	mux.Handle(s.joinPath()+"/{room}/", s.roomRoutes())
	s.control(mux)
	return mux
}

// roomRoutes serves what lies below a room's URL, on a mux of its own: a room at the root would be in the way of /v1/ and /sim/.
func (s *Sim) roomRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+s.joinPath()+"/{room}/join", s.join)
	for path, handle := range map[string]plainHandler{
		"dialout/start":       s.joinedDial,
		"dialout/stop":        s.joinedStop,
		"sip-call-transfer":   s.joinedTransfer,
		"sip-refer":           s.joinedRefer,
		"participants/update": s.joinedUpdate,
		"say":                 s.joinedSay,
	} {
		mux.HandleFunc("POST "+s.joinPath()+"/{room}/"+path, plain(handle))
	}
	return mux
}

func (s *Sim) unknown(r *request) (any, *apiError) {
	return nil, notFound("%s %s is not simulated", r.Method, r.URL.Path)
}
