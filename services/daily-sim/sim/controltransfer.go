// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"net/http"
	"slices"
)

func (s *Sim) controlTransfers(_ http.ResponseWriter, r *http.Request) (any, *apiError) {
	q := r.URL.Query()
	list := slices.DeleteFunc(s.Transfers(), func(t Transfer) bool {
		return q.Get("room") != "" && t.Room != q.Get("room") || q.Get("call") != "" && t.Call != q.Get("call") ||
			q.Get("state") != "" && t.State != q.Get("state")
	})
	return map[string]any{"total": len(list), "data": list}, nil
}
