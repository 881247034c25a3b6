package talos

import "strings"

// RequestHeader is the gRPC header in which a client names each call, so that
// what both sides say of it can be found together: the node puts the name beside
// its errors, in its log and in the answer.
const RequestHeader = "talos-request-id"

// maxRequestID bounds a call's name, in bytes.
const maxRequestID = 64

// ValidRequestID tells whether a call may have this name: 1 to 64 of
// [a-zA-Z0-9._-].
func ValidRequestID(id string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return id != "" && len(id) <= maxRequestID && strings.IndexFunc(id, func(r rune) bool { return !strings.ContainsRune(letters, r) }) < 0
}
