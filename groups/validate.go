package groups

import (
	"fmt"
	"strings"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// ValidateName returns InvalidGroupName unless the group's name can be used: the
// rules are those of topics.
func ValidateName(name string) error {
	if err := talos.TopicName(name).Validate(); err != nil {
		return &talos.Error{Kind: talos.InvalidGroupName, Op: "groups.ValidateName", Subject: fmt.Sprintf("%.260q", name)}
	}
	return nil
}

// ValidateHeartbeat checks what can be checked without the group.
func ValidateHeartbeat(r *talosv1.HeartbeatRequest) error {
	if err := ValidateName(r.GetGroup()); err != nil {
		return err
	}
	fault := ""
	switch {
	case r.GetMemberId() == "" || len(r.GetMemberId()) > maxIDBytes:
		fault = fmt.Sprintf("a member id has 1 to %d characters", maxIDBytes)
	case len(r.GetInstanceId()) > maxInstanceBytes:
		fault = fmt.Sprintf("an instance id has up to %d characters", maxInstanceBytes)
	case len(r.GetClientId()) > maxClientBytes:
		fault = fmt.Sprintf("a client id has up to %d characters", maxClientBytes)
	case r.GetMemberEpoch() < leavesAWait:
		fault = fmt.Sprintf("the member's epoch is %d", r.GetMemberEpoch())
	case !within(r.GetSessionTimeoutMs()):
		fault = fmt.Sprintf("a session's time is %v to %v, not %v", MinSession, MaxSession, duration(r.GetSessionTimeoutMs()))
	case !within(r.GetRebalanceTimeoutMs()):
		fault = fmt.Sprintf("the time to give up is %v to %v, not %v", MinSession, MaxSession, duration(r.GetRebalanceTimeoutMs()))
	case len(r.GetTopics()) > maxTopics:
		fault = fmt.Sprintf("it reads %d topics, the limit is %d", len(r.GetTopics()), maxTopics)
	case r.GetMaxWaitMs() < 0:
		fault = "max_wait_ms is negative"
	}
	if fault != "" {
		return invalid(r.GetGroup(), fault)
	}
	for _, name := range r.GetTopics() {
		if err := talos.TopicName(name).Validate(); err != nil {
			return err
		}
		if strings.HasPrefix(name, talos.InternalPrefix) {
			return invalid(r.GetGroup(), "the topic "+name+" is Talos's own")
		}
	}
	return validatePartitions(r.GetGroup(), r.GetOwned())
}

func within(ms int32) bool {
	d := time.Duration(ms) * time.Millisecond
	return ms == 0 || d >= MinSession && d <= MaxSession
}

func validatePartitions(group string, all []*talosv1.GroupPartitions) error {
	for _, p := range all {
		if len(p.GetTopicId()) != len(talos.TopicID{}) {
			return invalid(group, fmt.Sprintf("a topic's id has %d bytes", len(p.GetTopicId())))
		}
	}
	return nil
}

// ValidateCommit checks what can be checked without the group.
func ValidateCommit(r *talosv1.CommitOffsetsRequest) error {
	if err := ValidateName(r.GetGroup()); err != nil {
		return err
	}
	for _, o := range r.GetOffsets() {
		switch {
		case len(o.GetTopicId()) != len(talos.TopicID{}):
			return invalid(r.GetGroup(), fmt.Sprintf("a topic's id has %d bytes", len(o.GetTopicId())))
		case o.GetPartition() < 0 || o.GetPartition() >= talos.MaxPartitions:
			return invalid(r.GetGroup(), fmt.Sprintf("partition %d", o.GetPartition()))
		case o.GetOffset() < -1 || o.GetOffset() < 0 && r.GetMemberId() != "":
			return invalid(r.GetGroup(), fmt.Sprintf("offset %d", o.GetOffset()))
		case len(o.GetMetadata()) > MaxMetadataBytes:
			return invalid(r.GetGroup(), fmt.Sprintf("metadata of %d bytes, the limit is %d", len(o.GetMetadata()), MaxMetadataBytes))
		}
		if err := talos.TopicName(o.GetTopic()).Validate(); err != nil {
			return err
		}
	}
	return nil
}

// ValidateFetch checks what can be checked without the group.
func ValidateFetch(r *talosv1.FetchOffsetsRequest) error {
	if err := ValidateName(r.GetGroup()); err != nil {
		return err
	}
	return validatePartitions(r.GetGroup(), r.GetPartitions())
}

func invalid(group, detail string) error {
	return &talos.Error{Kind: talos.InvalidRequest, Op: "groups.Validate", Subject: group, Detail: detail}
}
