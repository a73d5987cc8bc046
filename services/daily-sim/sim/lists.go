// SPDX-License-Identifier: Apache-2.0

package sim

import "strconv"

// paged answers a list as Daily does: {total_count, data}, newest first, limit, starting_after, ending_before.
func paged[T any](r *request, all []T, id func(T) string, view func(T) any) (any, *apiError) {
	q := r.URL.Query()
	limit, err := intParam(r, "limit", 100)
	if err != nil {
		return nil, err
	}
	limit = min(limit, 100)
	total := len(all)
	index := func(wanted string) int {
		for i, x := range all {
			if id(x) == wanted {
				return i
			}
		}
		return -1
	}
	from, to := 0, total
	if after := q.Get("starting_after"); after != "" {
		i := index(after)
		if i < 0 {
			return nil, invalid("'starting_after' is no known id")
		}
		from = i + 1
	}
	if before := q.Get("ending_before"); before == "OLDEST" {
		from = max(from, to-limit)
	} else if before != "" {
		i := index(before)
		if i < 0 {
			return nil, invalid("'ending_before' is no known id")
		}
		to = i
		from = max(from, to-limit)
	}
	data := []any{}
	for i := from; i < to && len(data) < limit; i++ {
		data = append(data, view(all[i]))
	}
	return map[string]any{"total_count": total, "data": data}, nil
}

func intParam(r *request, name string, otherwise int) (int, *apiError) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, invalid("'%s' must be a number", name)
	}
	return n, nil
}

func fieldObject(body map[string]any, key string) (map[string]any, *apiError) {
	v, ok := body[key]
	if !ok || v == nil {
		return map[string]any{}, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("'%s' must be an object", key)
	}
	return m, nil
}

func fieldStrings(body map[string]any, key string, most int) ([]string, *apiError) {
	v, ok := body[key]
	if !ok || v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > most {
		return nil, invalid("'%s' must be an array of at most %d strings", key, most)
	}
	var out []string
	for _, x := range list {
		str, ok := x.(string)
		if !ok {
			return nil, invalid("'%s' must be an array of strings", key)
		}
		out = append(out, str)
	}
	return out, nil
}
