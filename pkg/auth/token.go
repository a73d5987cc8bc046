// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
)

// prefix tells people, and programs that look for leaked secrets, what a token is.
const prefix = "tlk_"

// newToken gives tlk_NAME_SECRET. The secret has 260 random bits: nobody finds it by trying, so that a plain hash keeps
// it as well as a slow one with salt, and costs a request nothing.
func newToken(name string) (token string, hash []byte) {
	secret := rand.Text() + rand.Text()
	return prefix + name + "_" + secret, hashOf(secret)
}

// readToken takes a token apart. A name may have a _, a secret has none.
func readToken(token string) (name string, hash []byte, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	i := strings.LastIndexByte(rest, '_')
	if !ok || i < 0 {
		return "", nil, false
	}
	return rest[:i], hashOf(rest[i+1:]), true
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
