package coordinator

import (
	"errors"
	"strings"
	"time"
)

// Node is what a node says of itself when it registers.
type Node struct {
	// ID stays the same over restarts; no two nodes share one.
	ID string `json:"id"`
	// Address is host:port of the RPC port, as clients reach it.
	Address string `json:"address"`
	// Version is the build's.
	Version string `json:"version,omitempty"`
}

func (n Node) validate() error {
	switch {
	case n.ID == "":
		return errors.New("the node's id is empty")
	case strings.Contains(n.ID, "/"):
		return errors.New("the node's id has a slash")
	case n.Address == "":
		return errors.New("the node's address is empty")
	}
	return nil
}

// Member is a node that is registered.
type Member struct {
	Node
	// StartedMillis is when it registered, in milliseconds since 1970, by its clock.
	StartedMillis int64 `json:"started_ms"`
	// Unfit says why it should own nothing; nil if it may.
	Unfit *Unfit `json:"unfit,omitempty"`
	// Run tells registrations under one id apart.
	Run string `json:"run"`
}

// Started is when the node registered, by its clock.
func (m Member) Started() time.Time { return time.UnixMilli(m.StartedMillis) }

func (m Member) validate() error {
	if m.Run == "" {
		return errors.New("the registration's run is empty")
	}
	return m.Node.validate()
}

// Unfit is a node's own word that it can't do its work.
type Unfit struct {
	Reason      string `json:"reason"`
	SinceMillis int64  `json:"since_ms"`
}

// holder is the value of the scheduler key.
type holder struct {
	ID  string `json:"id"`
	Run string `json:"run"`
}

func (h holder) validate() error {
	if h.ID == "" || h.Run == "" {
		return errors.New("id or run is empty")
	}
	return nil
}
