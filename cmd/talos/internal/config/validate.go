package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/talos-log/talos/cmd/talos/internal/stores"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server"
)

const (
	minRecordBytes = 1 << 10
	// minTime is the least value of a timeout.
	minTime = 100 * time.Millisecond
)

// Role says which of the settings a node needs.
type Role int

const (
	// Server is a node over a store and an etcd that are configured.
	Server Role = iota
	// Dev is a node that brings its own.
	Dev
)

// Validate checks the whole, also what the files hold that it names. The error
// is a *Faults that tells all of them.
func (c *Config) Validate(role Role) error {
	v := validator{Config: c}
	v.addresses()
	if role == Server {
		v.need(c.Store != "", "store is missing: set store, --store or TALOS_SERVER_STORE to a URL, as file:///srv/talos")
		v.need(len(c.Etcd.Endpoints) > 0, "etcd.endpoints is missing: set etcd.endpoints, --etcd or TALOS_SERVER_ETCD_ENDPOINTS to host:port of etcd's members")
	}
	if v.Store != "" {
		if err := stores.Check(v.Store); err != nil {
			v.need(false, "store: %w", err)
		}
	}
	v.exposure()
	v.files()
	v.etcd()
	v.limits()
	return v.faults.orNil()
}

// validator gathers the faults.
type validator struct {
	*Config
	faults Faults
}

func (v *validator) need(ok bool, format string, args ...any) {
	if !ok {
		v.faults = append(v.faults, fmt.Errorf(format, args...))
	}
}

func (v *validator) addresses() {
	v.need(v.Listen != "", "listen is missing: set it to host:port")
	for _, a := range []struct {
		key, value string
		host, zero bool // a host is needed; port 0 may be used
	}{
		{"listen", v.Listen, false, true},
		{"http", v.HTTP, false, true},
		{"advertise", v.Advertise, true, false},
	} {
		if a.value == "" {
			continue
		}
		host, port, err := net.SplitHostPort(a.value)
		number, numberErr := strconv.ParseUint(port, 10, 16)
		switch {
		case err != nil || numberErr != nil || !a.zero && number == 0:
			v.need(false, "%s is %q: want host:port, the port a number up to 65535", a.key, a.value)
		case a.host && (host == "" || net.ParseIP(host).IsUnspecified()):
			v.need(false, "%s is %q: want the host's name or address as clients know it", a.key, a.value)
		}
	}
	v.need(v.HTTP == "" || v.HTTP != v.Listen || strings.HasSuffix(v.HTTP, ":0"), "http and listen are both %s: each wants a port of its own", v.HTTP)
}

// exposure refuses what would let anybody in, unless insecure says so.
func (v *validator) exposure() {
	for _, a := range [][2]string{{"listen", v.Listen}, {"http", v.HTTP}} {
		if v.Insecure || a[1] == "" || isLoopback(a[1]) {
			continue
		}
		var missing []string
		if !v.secured() {
			missing = append(missing, "TLS: set tls.certificate and tls.key (--tls-cert, --tls-key)")
		}
		if !v.guarded() {
			missing = append(missing, "access control: set access.token_file or tls.client_ca (--token-file, --tls-client-ca)")
		}
		v.need(len(missing) == 0, "%s is %s, which others can reach, without %s; or listen on 127.0.0.1; or, on a network that you trust, set insecure (--insecure)",
			a[0], a[1], strings.Join(missing, ", and without "))
	}
}

// secured and guarded tell whether there is TLS, and access control.
func (c *Config) secured() bool { return c.TLS.Certificate != "" }
func (c *Config) guarded() bool { return c.Access.TokenFile != "" || c.TLS.ClientCA != "" }

// Exposed tells in words what is served to others only because Insecure says so;
// empty if nothing is.
func (c *Config) Exposed() string {
	if isLoopback(c.Listen) && (c.HTTP == "" || isLoopback(c.HTTP)) || c.secured() && c.guarded() {
		return ""
	}
	switch {
	case c.secured():
		return "whoever reaches a port may read and write everything"
	case c.guarded():
		return "whoever is on the way can read tokens and records, and change them"
	default:
		return "whoever reaches a port may read and write everything, and whoever is on the way can read and change it"
	}
}

// isLoopback tells whether only this machine reaches the address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // it can't be used at all, which another fault tells
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// files checks that what they hold can be used.
func (v *validator) files() {
	v.need((v.TLS.Certificate == "") == (v.TLS.Key == ""), "tls.certificate and tls.key go together: set both, or none")
	v.need(v.TLS.ClientCA == "" || v.TLS.Certificate != "", "tls.client_ca needs TLS: set tls.certificate and tls.key as well")
	v.need(v.TLS.PeerCA == "" || v.TLS.Certificate != "", "tls.peer_ca needs TLS: set tls.certificate and tls.key as well")
	if _, err := v.Peers(); err != nil {
		v.need(false, "tls.peer_ca: %w", err)
	}
	if v.TLS.Certificate != "" && v.TLS.Key != "" {
		if _, err := v.serverTLS(discard); err != nil {
			v.need(false, "tls: %w", err)
		}
	}
	if _, err := v.guard(discard); err != nil {
		v.need(false, "access.token_file: %w", err)
	}
}

func (v *validator) etcd() {
	e := v.Etcd
	v.endpoints()
	v.need(e.Password == "" || e.PasswordFile == "", "etcd.password and etcd.password_file exclude each other: keep the file")
	hasPassword := e.Password != "" || e.PasswordFile != ""
	v.need(e.User == "" || hasPassword, "etcd.user needs etcd.password_file")
	v.need(e.User != "" || !hasPassword, "a password for etcd is set, but no etcd.user")
	v.need((e.TLS.Certificate == "") == (e.TLS.Key == ""), "etcd.tls.certificate and etcd.tls.key go together: set both, or none")
	v.need(e.TLS.Certificate == "" || e.TLS.CA != "", "etcd.tls.certificate needs etcd.tls.ca")
	v.need(e.DialTimeout >= minTime, "etcd.dial_timeout is %v: want at least %v", e.DialTimeout, minTime)
	v.need(e.SessionTTL >= time.Second && e.SessionTTL%time.Second == 0, "etcd.session_ttl is %v: want whole seconds, at least 1s", e.SessionTTL)
	if _, err := e.password(); err != nil {
		v.need(false, "etcd.password_file: %w", err)
	}
	if _, err := e.tls(); err != nil {
		v.need(false, "etcd.tls: %w", err)
	}
}

// endpoints refuses what would go in clear though TLS is configured: etcd's client
// goes by the scheme of the first one, and sends the password.
func (v *validator) endpoints() {
	ca := v.Etcd.TLS.CA
	schemes := map[string]bool{}
	for _, endpoint := range v.Etcd.Endpoints {
		scheme, address, found := strings.Cut(endpoint, "://")
		if !found {
			scheme, address = "", endpoint
		}
		scheme = strings.ToLower(scheme)
		schemes[scheme] = true
		_, _, err := net.SplitHostPort(address)
		v.need(err == nil && (scheme == "" || scheme == "http" || scheme == "https"), "etcd.endpoints has %q: want host:port", endpoint)
		v.need(scheme != "https" || ca != "", "etcd.endpoints has %q: set etcd.tls.ca for https", endpoint)
		v.need(scheme != "http" || ca == "", "etcd.endpoints has %q, but etcd.tls.ca is set: want https, or host:port alone", endpoint)
	}
	v.need(!schemes["http"] || !schemes["https"], "etcd.endpoints has both http and https: want one of them")
}

func (v *validator) limits() {
	for _, s := range Settings(v.Config) {
		if !strings.HasPrefix(s.Key, "limits.") {
			continue
		}
		switch n := s.field.Interface().(type) {
		case int:
			v.need(n > 0, "%s is %d: want a positive number", s.Key, n)
		case Bytes:
			v.need(n > 0, "%s is %s: want a positive size", s.Key, s.Text())
		case time.Duration:
			v.need(n >= minTime, "%s is %s: want at least %v", s.Key, s.Text(), minTime)
		}
	}
	l := v.Limits
	v.need(l.RecordBytes == 0 || l.RecordBytes >= minRecordBytes && l.RecordBytes <= talos.DefaultRecordBytes,
		"limits.record_bytes is %d: want %d to %d bytes, which is what clients are ready for", l.RecordBytes, minRecordBytes, talos.DefaultRecordBytes)
	least := Bytes(server.LeastAnswerBytes(talos.DefaultLimits()))
	v.need(l.ConnectionAnswerBytes <= 0 || l.ConnectionAnswerBytes >= least,
		"limits.connection_answer_bytes is %s: want room for one answer, %d bytes (and limits.answer_bytes no less)", textOf(l.ConnectionAnswerBytes), least)
	v.need(l.ConnectionsPerAddress <= l.Connections, "limits.connections_per_address is above limits.connections")
	v.need(l.ConnectionAnswerBytes <= l.AnswerBytes, "limits.connection_answer_bytes is above limits.answer_bytes")
	v.need(v.Groups.Coordinators > 0 && v.Groups.Coordinators <= talos.MaxPartitions,
		"groups.coordinators is %d: want 1 to %d", v.Groups.Coordinators, talos.MaxPartitions)
	v.need(v.Groups.Retention >= time.Minute, "groups.retention is %v: want at least 1m", v.Groups.Retention)
	v.need(v.DrainTimeout >= time.Second, "drain_timeout is %v: want at least 1s (the default is %v)", v.DrainTimeout, server.DefaultDrain)
}
