package rpc

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotSent means that nothing of the call left this process, so the server did not
	// run it.
	ErrNotSent = errors.New("not sent")
	// ErrLost means that the connection broke after the call was sent. The server may have
	// run it or may yet run it.
	ErrLost = errors.New("connection lost, whether the call was carried out is unknown")
	// ErrTimeout means no answer within Config.Timeout. The outcome is unknown unless
	// the error is ErrNotSent as well.
	ErrTimeout = errors.New("no answer in time")
	// ErrKerberos means that the server refuses simple authentication.
	ErrKerberos = errors.New("the cluster wants Kerberos, which Talos does not offer yet: use a cluster with simple authentication")
	// ErrProtocol means that what listens at the address is no Hadoop RPC server.
	ErrProtocol = errors.New("this address does not speak Hadoop RPC")
	// ErrClosed means that the Client was closed.
	ErrClosed = errors.New("the client is closed")
)

// RemoteError is an exception that the server answered with.
type RemoteError struct {
	// Class is the exception's Java class with its package.
	Class string
	// Message is all of it, mostly with a stack trace.
	Message string
	// Fatal says that the server closed the connection over it.
	Fatal bool
}

// ShortClass is the class without its package and outer classes.
func (e *RemoteError) ShortClass() string {
	return e.Class[strings.LastIndexAny(e.Class, ".$")+1:]
}

// Line is the first line of the message, where the stack trace is left out.
func (e *RemoteError) Line() string {
	line, _, _ := strings.Cut(strings.TrimSpace(e.Message), "\n")
	return strings.TrimSpace(line)
}

func (e *RemoteError) Error() string {
	class := e.ShortClass()
	if class == "" {
		class = "an error without a class"
	}
	return fmt.Sprintf("%s: %s", class, e.Line())
}
