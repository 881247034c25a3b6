package hdfs

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os/user"
	"path"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2/hadoopconf"

	"github.com/talos-log/talos/talos"
)

const (
	// defaultReplication and defaultMinReplicas are how many replicas a segment
	// is meant to have, and how many it must have to be written at all.
	defaultReplication = 3
	defaultMinReplicas = 2
	// defaultOpenSegments is how many segments a store has open for writing before it
	// asks for some to be sealed.
	defaultOpenSegments = 1000
	// defaultBlockMiB bounds a segment's length: a file has one block. The NameNode
	// wants so much room on a DataNode for every file that was opened lately. It must
	// be leastBlockMiB, of which the largest appends leave some for a segment.
	defaultBlockMiB = 288
	leastBlockMiB   = 32
	mostBlockMiB    = 2 << 10
	// idleClose is when an open segment without appends is sealed. Opening one
	// costs five calls of the NameNode, keeping it open costs each DataNode two
	// threads.
	idleClose = 5 * time.Minute
	// defaultPort is the NameNode's.
	defaultPort = "8020"
)

// Options are what a Store may be told beside its URL.
type Options struct {
	Logger *slog.Logger
	// ReadOnly opens a store for looking: its folder must be there, and nothing is
	// made.
	ReadOnly bool
	// AtStep is called within Create, Seal and Recover at each step; nil: it isn't.
	// Tests stop the process there.
	AtStep func(Step)
	// ProbePause is the first pause between two looks for the DataNodes that
	// segments with too few replicas wait for; it doubles up to a minute. 0: 5 s.
	ProbePause time.Duration
}

// Step is a step of creating, sealing or recovering a segment.
type Step string

// The steps, in their order: four of Create, two of Seal, and of Recover one of a lease
// recovery, five of closing what this store has given up itself. All but
// LeaseWanted are done when they are told.
const (
	FileCreated    Step = "file created"
	BlockAllocated Step = "block allocated"
	Connected      Step = "connected"
	HeadWritten    Step = "head written"
	BlockEnded     Step = "block ended"
	FileClosed     Step = "file closed"
	LeaseWanted    Step = "lease wanted"

	SurvivorsAgree  Step = "survivors agree"
	StampRaised     Step = "stamp raised"
	ReplicasClosed  Step = "replicas closed"
	SurvivorsFollow Step = "survivors follow"
	LeftoverClosed  Step = "leftover closed"
)

// config is everything that is settled before the first call.
type config struct {
	namenodes   []string
	root        string
	user        string
	replication int
	minReplicas int
	// openSegments is the budget of segments open for writing.
	openSegments int
	blockBytes   int64
	useHostname  bool
}

// configOf reads hdfs://[user@]host[:port]/path, where host may be the name of a
// pair of NameNodes that the Hadoop configuration knows. lookup reads the
// environment.
func configOf(u *url.URL, conf hadoopconf.HadoopConf, lookup func(string) string) (config, error) {
	c := config{
		root: path.Clean("/" + u.Path), replication: defaultReplication, minReplicas: defaultMinReplicas,
		openSegments: defaultOpenSegments, blockBytes: defaultBlockMiB << 20, useHostname: conf["dfs.client.use.datanode.hostname"] == "true",
	}
	if conf["hadoop.security.authentication"] == "kerberos" {
		return c, invalid(u, "the Hadoop configuration asks for Kerberos, which Talos does not offer yet: use a cluster with simple authentication")
	}
	if u.Scheme != "hdfs" {
		return c, invalid(u, "an HDFS store is written hdfs://host:port/path")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, invalid(u, err.Error())
	}
	if err := c.settings(query); err != nil {
		return c, invalid(u, err.Error())
	}
	if c.namenodes, err = addresses(u, conf); err != nil {
		return c, invalid(u, err.Error())
	}
	c.user, err = userName(u, lookup)
	if err != nil {
		return c, invalid(u, err.Error())
	}
	return c, nil
}

// settings are the options that a URL may carry.
func (c *config) settings(query url.Values) error {
	for name, values := range query {
		value := values[len(values)-1]
		var n int
		if _, err := fmt.Sscanf(value, "%d", &n); err != nil || n < 1 || fmt.Sprint(n) != value {
			return fmt.Errorf("%s=%s: it takes a whole number from 1 on", name, value)
		}
		switch name {
		case "replication":
			c.replication = n
		case "min-replicas":
			c.minReplicas = n
		case "open-segments":
			c.openSegments = n
		case "block-mib":
			if n < leastBlockMiB || n > mostBlockMiB {
				return fmt.Errorf("block-mib=%d: it is from %d to %d", n, leastBlockMiB, mostBlockMiB)
			}
			c.blockBytes = int64(n) << 20
		default:
			return fmt.Errorf("there is no setting %q: it takes replication, min-replicas, open-segments and block-mib", name)
		}
	}
	if query.Has("replication") && !query.Has("min-replicas") {
		c.minReplicas = min(c.minReplicas, c.replication)
	}
	if c.minReplicas > c.replication {
		return fmt.Errorf("min-replicas=%d is more than replication=%d", c.minReplicas, c.replication)
	}
	return nil
}

// addresses returns host:port of every NameNode that may be asked.
func addresses(u *url.URL, conf hadoopconf.HadoopConf) ([]string, error) {
	host := u.Hostname()
	if host == "" {
		return defaultNameNodes(conf)
	}
	members := conf["dfs.ha.namenodes."+host]
	if members == "" {
		port := u.Port()
		if port == "" {
			port = defaultPort
		}
		return []string{net.JoinHostPort(host, port)}, nil
	}
	var all []string
	for _, member := range strings.Split(members, ",") {
		key := "dfs.namenode.rpc-address." + host + "." + strings.TrimSpace(member)
		address := conf[key]
		if address == "" {
			return nil, fmt.Errorf("the Hadoop configuration names the NameNodes %s of %s, but has no %s", members, host, key)
		}
		all = append(all, address)
	}
	return all, nil
}

// defaultNameNodes are those of a URL without a host, hdfs:///path.
func defaultNameNodes(conf hadoopconf.HadoopConf) ([]string, error) {
	name := conf["fs.defaultFS"]
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "hdfs" || u.Hostname() == "" {
		return nil, errors.New("it names no NameNode, and no core-site.xml in HADOOP_CONF_DIR has an fs.defaultFS that does")
	}
	return addresses(u, conf)
}

// userName is who the files belong to. With simple authentication the cluster
// believes what it is told.
func userName(u *url.URL, lookup func(string) string) (string, error) {
	if u.User != nil && u.User.Username() != "" {
		return u.User.Username(), nil
	}
	if name := lookup("HADOOP_USER_NAME"); name != "" {
		return name, nil
	}
	current, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who runs this process can't be told (%w): set HADOOP_USER_NAME", err)
	}
	return current.Username, nil
}

func invalid(u *url.URL, detail string) error {
	return &talos.Error{Kind: talos.InvalidConfig, Op: "hdfs.Open", Subject: u.Redacted(), Detail: detail}
}
