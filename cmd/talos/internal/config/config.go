package config

import (
	"log/slog"
	"time"

	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/groups"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server"
)

// Config is all that can be set. Defaults returns its defaults.
type Config struct {
	NodeID    string `yaml:"node_id" flag:"node-id" arg:"ID" example:"talos-1" doc:"id that is unique in the cluster, and the same after a restart; empty: the advertised address"`
	Listen    string `yaml:"listen" flag:"listen" arg:"HOST:PORT" doc:"where clients are served; port 0 takes a free one"`
	Advertise string `yaml:"advertise" flag:"advertise" arg:"HOST:PORT" example:"talos-1.example:7070" doc:"how clients reach listen; empty: listen itself, or the host's name if that is everywhere"`
	HTTP      string `yaml:"http" flag:"http" arg:"HOST:PORT" doc:"where /healthz, /readyz, /metrics and /debug/pprof are served; empty: nowhere"`
	Insecure  bool   `yaml:"insecure" flag:"insecure" doc:"serve beyond loopback also without TLS or without access control"`

	Store string `yaml:"store" flag:"store" arg:"URL" example:"file:///srv/talos" secret:"url" doc:"where segments are kept (needed): <forms>"`

	DrainTimeout time.Duration `yaml:"drain_timeout" flag:"drain-timeout" arg:"DURATION" doc:"how long a node that is told to end takes to hand its partitions over and to answer its calls"`
	LogLevel     slog.Level    `yaml:"log_level" flag:"log-level" arg:"LEVEL" doc:"level from which on to log: debug, info, warn or error"`

	TLS    TLS    `yaml:"tls"`
	Access Access `yaml:"access"`
	Etcd   Etcd   `yaml:"etcd"`
	Groups Groups `yaml:"groups"`
	Limits Limits `yaml:"limits"`
}

// Groups is how consumer groups are kept.
type Groups struct {
	Coordinators int           `yaml:"coordinators" doc:"partitions of the internal topic that keeps the consumer groups; set by the node that is asked for the first group"`
	Retention    time.Duration `yaml:"retention" doc:"how long a group without members and commits is kept, with its offsets; at least 1m"`
}

// TLS is the TLS of both ports.
type TLS struct {
	Certificate string `yaml:"certificate" flag:"tls-cert" arg:"FILE" example:"/etc/talos/node.pem" doc:"PEM file of the node's certificate, for both ports; it, the key, client_ca and access.token_file are read again when they change"`
	Key         string `yaml:"key" flag:"tls-key" arg:"FILE" example:"/etc/talos/node-key.pem" doc:"PEM file of its private key"`
	ClientCA    string `yaml:"client_ca" flag:"tls-client-ca" arg:"FILE" example:"/etc/talos/clients-ca.pem" doc:"PEM file of the authorities whose client certificates let in (mTLS); needed of each client unless access.token_file is set as well"`
	PeerCA      string `yaml:"peer_ca" flag:"tls-peer-ca" arg:"FILE" example:"/etc/talos/nodes-ca.pem" doc:"PEM file of the authorities that sign the nodes' certificates, for the calls of this node to the others; empty: the system's. It shows them its own certificate, and the first token of access.token_file"`
}

// Access says who is let in, besides the holders of client certificates.
type Access struct {
	TokenFile string `yaml:"token_file" flag:"token-file" arg:"FILE" example:"/etc/talos/tokens" doc:"file of the tokens that let in, a name, a space and a token on each line; mode 0600 or 0640"`
}

// Etcd is how to reach etcd.
type Etcd struct {
	Endpoints    []string      `yaml:"endpoints" flag:"etcd" arg:"HOST:PORT,..." example:"[etcd1.example:2379, etcd2.example:2379, etcd3.example:2379]" doc:"etcd's members (needed)"`
	Prefix       string        `yaml:"prefix" flag:"etcd-prefix" arg:"PREFIX" example:"/team-a" doc:"put before each key, so that several clusters can share an etcd"`
	DialTimeout  time.Duration `yaml:"dial_timeout" flag:"etcd-dial-timeout" arg:"DURATION" doc:"how long the start waits for etcd"`
	SessionTTL   time.Duration `yaml:"session_ttl" flag:"session-ttl" arg:"DURATION" doc:"how long a node that says nothing keeps its partitions, in whole seconds from 1s on; etcd may make it 2s"`
	User         string        `yaml:"user" flag:"etcd-user" arg:"NAME" example:"talos" doc:"etcd's user, if it has authentication on"`
	Password     string        `yaml:"password" secret:"true" doc:"the user's password; better kept in a file"`
	PasswordFile string        `yaml:"password_file" flag:"etcd-password-file" arg:"FILE" example:"/etc/talos/etcd-password" doc:"file of the user's password; mode 0600 or 0640"`
	TLS          EtcdTLS       `yaml:"tls"`
}

// EtcdTLS is the TLS of the connections to etcd.
type EtcdTLS struct {
	CA          string `yaml:"ca" flag:"etcd-ca" arg:"FILE" example:"/etc/talos/etcd-ca.pem" doc:"PEM file of the authorities that sign etcd's certificates; turns TLS on"`
	Certificate string `yaml:"certificate" flag:"etcd-cert" arg:"FILE" example:"/etc/talos/etcd-client.pem" doc:"PEM file of the certificate that etcd asks for"`
	Key         string `yaml:"key" flag:"etcd-key" arg:"FILE" example:"/etc/talos/etcd-client-key.pem" doc:"PEM file of its private key"`
}

// Limits are what a node takes on: see server.Capacity.
type Limits struct {
	RecordBytes           Bytes         `yaml:"record_bytes" doc:"largest record, key and headers included; a request holds one batch, of this and 64 KiB at most"`
	Connections           int           `yaml:"connections" doc:"connections to each port; one more is closed at once"`
	ConnectionsPerAddress int           `yaml:"connections_per_address" doc:"connections of one IP address to each port"`
	Streams               int           `yaml:"streams" doc:"calls under way on the node; one more is answered with Overloaded"`
	StreamsPerConnection  int           `yaml:"streams_per_connection" doc:"calls under way on one connection; further ones wait in the client"`
	LongPolls             int           `yaml:"long_polls" doc:"fetches that wait for records; one more is answered with Overloaded"`
	HeaderBytes           Bytes         `yaml:"header_bytes" doc:"headers of a call or of an HTTP request"`
	HandshakeTimeout      time.Duration `yaml:"handshake_timeout" doc:"time that a connection has to begin, and a client to send a request"`
	ProduceBytes          Bytes         `yaml:"produce_bytes" doc:"record batches that wait for the store, in all; further ones are not read meanwhile"`
	AnswerBytes           Bytes         `yaml:"answer_bytes" doc:"answers that are put together, queued or sent, in all; further calls wait"`
	ConnectionAnswerBytes Bytes         `yaml:"connection_answer_bytes" doc:"the same of one connection"`
	AnswerTimeout         time.Duration `yaml:"answer_timeout" doc:"time that a client has to read an answer, before its connection is closed"`
	Topics                int           `yaml:"topics" doc:"topics of the cluster; one more is refused with LimitReached"`
	Partitions            int           `yaml:"partitions" doc:"partitions of the cluster; further ones are refused with LimitReached"`
	GroupMembers          int           `yaml:"group_members" doc:"members of a consumer group; one more is refused with GroupFull"`
	Groups                int           `yaml:"groups" doc:"consumer groups of one coordinator; one more is refused with LimitReached"`
}

// Defaults returns the configuration that nobody has set anything of.
func Defaults() Config {
	c := server.DefaultCapacity()
	return Config{
		Listen: "127.0.0.1:7070", HTTP: "127.0.0.1:7071",
		DrainTimeout: server.DefaultDrain, LogLevel: slog.LevelInfo,
		Etcd:   Etcd{DialTimeout: etcd.DefaultDialTimeout, SessionTTL: etcd.DefaultSessionTTL},
		Groups: Groups{Coordinators: server.DefaultGroupPartitions, Retention: groups.DefaultRetention},
		Limits: Limits{
			RecordBytes: talos.DefaultRecordBytes,
			Connections: c.Connections, ConnectionsPerAddress: c.ConnectionsPerAddress,
			Streams: c.Streams, StreamsPerConnection: c.StreamsPerConnection, LongPolls: c.LongPolls,
			HeaderBytes: Bytes(c.HeaderBytes), HandshakeTimeout: c.Handshake,
			ProduceBytes: Bytes(c.ProduceBytes), AnswerBytes: Bytes(c.AnswerBytes),
			ConnectionAnswerBytes: Bytes(c.ConnectionAnswerBytes), AnswerTimeout: c.AnswerTimeout,
			Topics: c.Topics, Partitions: c.Partitions,
			GroupMembers: groups.DefaultMembers, Groups: groups.DefaultGroups,
		},
	}
}

// GroupLimits returns what bounds consumer groups as a node takes it.
func (c Config) GroupLimits() groups.Config {
	return groups.Config{Members: c.Limits.GroupMembers, Groups: c.Limits.Groups, Retention: c.Groups.Retention}
}

// Capacity returns the limits as a node takes them.
func (l Limits) Capacity() server.Capacity {
	return server.Capacity{
		Connections: l.Connections, ConnectionsPerAddress: l.ConnectionsPerAddress,
		Streams: l.Streams, StreamsPerConnection: l.StreamsPerConnection, LongPolls: l.LongPolls,
		HeaderBytes: int(l.HeaderBytes), Handshake: l.HandshakeTimeout,
		ProduceBytes: int(l.ProduceBytes), AnswerBytes: int(l.AnswerBytes),
		ConnectionAnswerBytes: int(l.ConnectionAnswerBytes), AnswerTimeout: l.AnswerTimeout,
		Topics: l.Topics, Partitions: l.Partitions,
	}
}
