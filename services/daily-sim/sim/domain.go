// SPDX-License-Identifier: Apache-2.0

package sim

import "fmt"

// getDomain answers GET /.
func (s *Sim) getDomain(*request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.domainView(), nil
}

func (s *Sim) domainView() map[string]any {
	config := merge(nil, s.domain)
	for _, kind := range []string{pinless, pin} {
		if list := s.configsOf(kind); len(list) > 0 {
			config[kind] = list
		}
	}
	return map[string]any{"domain_name": s.cfg.Domain, "domain_id": s.cfg.DomainID, "config": config}
}

func (s *Sim) configsOf(kind string) []map[string]any {
	var list []map[string]any
	for _, c := range s.configs {
		if c.kind == kind && !c.wildcard {
			list = append(list, c.fields)
		}
	}
	return list
}

// setDomain answers POST /. A dial-in array replaces the whole list: what is left out is removed, and an
// item that does not send its hmac again gets a new one.
func (s *Sim) setDomain(r *request) (any, *apiError) {
	props, err := fieldObject(r.Body, "properties")
	if err != nil {
		return nil, err
	}
	fresh := map[string][]map[string]any{}
	for _, kind := range []string{pinless, pin} {
		v, set := props[kind]
		if !set {
			continue
		}
		delete(props, kind)
		if fresh[kind], err = readConfigs(kind, v); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.replaceConfigs(fresh); err != nil {
		return nil, err
	}
	s.domain = merge(s.domain, props)
	s.touch()
	return s.domainView(), nil
}

func readConfigs(kind string, v any) ([]map[string]any, *apiError) {
	items := []map[string]any{}
	list, ok := v.([]any)
	if v != nil && !ok {
		return nil, invalid("'%s' must be an array", kind)
	}
	for i, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, invalid("'%s[%d]' must be an object", kind, i)
		}
		fields, err := readConfig(m)
		if err == nil {
			err = complete(kind, fields)
		}
		if err != nil {
			err.Info = fmt.Sprintf("%s[%d]: %s", kind, i, err.Info)
			return nil, err
		}
		items = append(items, merge(nil, fields))
	}
	return items, nil
}

// replaceConfigs swaps the lists of the given kinds, all or nothing; mu is held.
func (s *Sim) replaceConfigs(fresh map[string][]map[string]any) *apiError {
	var kept []*dialinConfig
	seen := map[string]bool{}
	for _, c := range s.configs {
		if _, replaced := fresh[c.kind]; !replaced || c.wildcard {
			kept = append(kept, c)
			seen[c.text("phone_number")] = true
		}
	}
	for _, items := range fresh {
		for _, fields := range items {
			number, _ := fields["phone_number"].(string)
			if number != "" && seen[number] {
				return invalid("phone number %s is already configured", number)
			}
			seen[number] = true
		}
	}
	s.configs = kept
	for _, kind := range []string{pinless, pin} {
		for _, fields := range fresh[kind] {
			c := s.newConfig(kind, fields)
			s.configs = append(s.configs, c)
			s.pingConfig(c)
		}
	}
	return nil
}
