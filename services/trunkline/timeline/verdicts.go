// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"strings"
	"time"

	"connectrpc.com/connect"

	controlv1 "github.com/trunkline/trunkline/proto/gen/trunkline/control/v1"
)

// Verdicts gives what policy says as a table: each rule with its verdict, and what there is to say.
func Verdicts(policy *controlv1.ExplainPolicyResponse, row func(cells ...any)) {
	row("RULE", "VERDICT", "DETAIL")
	for _, v := range policy.GetVerdicts() {
		detail := v.GetDetail()
		if v.Until != nil {
			detail += ", until " + v.GetUntil().AsTime().Local().Format(time.RFC3339)
		}
		row(v.GetRule(), strings.ToLower(strings.TrimPrefix(v.GetDecision().String(), "DECISION_")), detail)
	}
}

// Refusal is what policy has said of a call that it refused, or nil for any other error.
func Refusal(err error) *controlv1.ExplainPolicyResponse {
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return nil
	}
	for _, detail := range refused.Details() {
		if value, err := detail.Value(); err == nil {
			if policy, ok := value.(*controlv1.ExplainPolicyResponse); ok {
				return policy
			}
		}
	}
	return nil
}
