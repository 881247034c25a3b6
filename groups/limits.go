package groups

import "time"

// Config bounds the groups of a coordinator; the zero value means the defaults.
type Config struct {
	// Members bounds those of a group, Groups the groups of the coordinator.
	Members, Groups int
	// Retention is how long a group without members and commits is kept.
	Retention time.Duration
}

// The defaults of Config.
const (
	DefaultMembers   = 10_000
	DefaultGroups    = 10_000
	DefaultRetention = 7 * 24 * time.Hour
)

const (
	// MinSession is the shortest session that a member may ask for, and the least
	// time to give up.
	MinSession = time.Second
	// MaxSession is the longest of both.
	MaxSession = 30 * time.Minute
	// DefaultSession is for members that ask for nothing.
	DefaultSession = 45 * time.Second
	// DefaultRebalance is how long a member may take to give a partition up.
	DefaultRebalance = 5 * time.Minute
	// heartbeats is how many there are in a session.
	heartbeats = 10

	// MaxMetadataBytes bounds what is stored with an offset, maxIDBytes the ids of
	// members and instances, maxClientBytes a client id.
	MaxMetadataBytes = 4096
	maxIDBytes       = 64
	maxInstanceBytes = 249
	maxClientBytes   = 256
	// maxTopics bounds the topics of one member.
	maxTopics = 1000

	// ConfirmFresh is how old the last proof may be that this is still the group's
	// coordinator, when a heartbeat comes, for it to be answered.
	ConfirmFresh = time.Second
)

func (c *Config) ensureDefaults() {
	if c.Members == 0 {
		c.Members = DefaultMembers
	}
	if c.Groups == 0 {
		c.Groups = DefaultGroups
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
}
