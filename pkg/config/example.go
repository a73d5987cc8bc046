// SPDX-License-Identifier: Apache-2.0

package config

//go:generate go test -run TestReference -update .

import _ "embed"

//go:embed example.yaml
var example string

// Example is a trunkline.yaml that names every key and says what it is for.
func Example() string { return example }
