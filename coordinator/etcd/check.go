package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/talos-log/talos/talos"
)

// probeKey is read by Check; nobody writes it.
const probeKey = "/talos/v1/probe"

// handshakeTimeout bounds the look at one member that does not answer.
const handshakeTimeout = 2 * time.Second

// Check asks etcd for something, and waits up to Config.DialTimeout. The error says
// in words what is wrong: MetaUnavailable if it may pass, InvalidConfig if it
// can't.
func (kv *KV) Check(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, kv.dialTimeout)
	defer cancel()
	_, err := kv.client.Get(call, probeKey)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return wrap(ctx, "etcd.Check", err)
	default:
		return openFault(kv.cfg, err)
	}
}

// openFault says what is wrong with a start.
func openFault(cfg Config, err error) error {
	e := &talos.Error{Kind: talos.InvalidConfig, Op: "etcd.Open", Subject: strings.Join(cfg.Endpoints, ","), Cause: err}
	switch {
	case errors.Is(err, rpctypes.ErrAuthFailed):
		e.Detail = "etcd does not take the user or the password; check both (etcd.user, etcd.password_file)"
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
		e.Detail = "a user is set, but etcd has no authentication on; remove etcd.user, or run `etcdctl auth enable`"
	case errors.Is(err, rpctypes.ErrUserEmpty):
		e.Detail = "etcd wants a user; set etcd.user and etcd.password_file"
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		e.Detail = "etcd does not let the user at the keys; grant it read and write on the prefix " + cfg.Prefix + "/talos/"
	case errors.Is(err, clientv3.ErrNoAvailableEndpoints), len(cfg.Endpoints) == 0:
		e.Detail = "no endpoint is set (etcd.endpoints)"
	default:
		e.Kind = talos.MetaUnavailable
		e.Detail = connectionFault(cfg)
	}
	return e
}

// connectionFault looks at the members one by one, since gRPC only says that
// time was up.
func connectionFault(cfg Config) string {
	var all []string
	for _, endpoint := range cfg.Endpoints {
		if fault := lookAt(endpoint, cfg.TLS); fault != "" {
			all = append(all, fault)
		}
	}
	if len(all) == 0 {
		return "its members take connections, but none answers in time"
	}
	return strings.Join(all, "; ")
}

// lookAt says what is wrong with a connection to one member, if anything.
func lookAt(endpoint string, secure *tls.Config) string {
	address := endpoint[strings.LastIndex(endpoint, "/")+1:]
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Sprintf("%s can't be reached: %v", address, err)
	}
	defer conn.Close() //nolint:errcheck // nothing was sent that could be lost
	if secure == nil {
		return speaksTLS(ctx, address)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is not host:port", endpoint)
	}
	cfg := secure.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	client := tls.Client(conn, cfg)
	if err := client.HandshakeContext(ctx); err != nil {
		return fmt.Sprintf("no TLS with %s: %v; check etcd.tls", address, err)
	}
	// A certificate of ours that it does not take shows after the handshake.
	if err := client.SetReadDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return ""
	}
	if _, err := client.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "remote error: tls") {
		return fmt.Sprintf("%s does not take our certificate: %v; check etcd.tls.certificate and etcd.tls.key", address, err)
	}
	return ""
}

// speaksTLS tells of a member that wants TLS though none is configured.
func speaksTLS(ctx context.Context, address string) string {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} // to look, nothing is sent
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return ""
	}
	// It is only looked at.
	_ = conn.Close()
	return address + " speaks TLS; set etcd.tls.ca"
}
