// Package access decides who may use a node: by a client certificate that the
// handshake of TLS has verified, or by a bearer token of a file. It also loads
// the node's own certificate, and says how a node shows the other nodes that it may
// call them: with that certificate, and with the first token of the file.
//
// It does not know users' rights: whoever is let in may do everything.
//
//	<key file, certificate, client CA, tokens>   files, read again when they change
//	          │
//	          ▼
//	 TLS: the handshake          a certificate that is given must be good
//	          ▼
//	 Guard.Check: each call      a verified certificate, or a token that is known
//
// Files are looked at by a handshake or a call, at most once per pollInterval. A
// file that can't be used after a change leaves what was loaded before in force,
// is logged once, and tried again with each look.
package access
