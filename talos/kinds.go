package talos

import (
	"sort"

	"google.golang.org/grpc/codes"
)

// Kind names one sort of failure. It is an error itself, so that
// errors.Is(err, talos.UnknownTopic) asks for it. Kinds travel by name; a name
// never changes its meaning and is never taken away.
type Kind string

// The kinds. Their meaning, gRPC code, retry rule and hint stand in the table
// below and nowhere else; docs/errors.md is generated from it.
const (
	InvalidTopicName   Kind = "InvalidTopicName"
	InvalidConfig      Kind = "InvalidConfig"
	InvalidRequest     Kind = "InvalidRequest"
	UnknownTopic       Kind = "UnknownTopic"
	UnknownPartition   Kind = "UnknownPartition"
	UnknownNode        Kind = "UnknownNode"
	UnschedulableNode  Kind = "UnschedulableNode"
	TopicExists        Kind = "TopicExists"
	InvalidGroupName   Kind = "InvalidGroupName"
	UnknownGroup       Kind = "UnknownGroup"
	GroupNotEmpty      Kind = "GroupNotEmpty"
	GroupFull          Kind = "GroupFull"
	UnknownMember      Kind = "UnknownMember"
	FencedMember       Kind = "FencedMember"
	FencedInstance     Kind = "FencedInstance"
	RecordTooLarge     Kind = "RecordTooLarge"
	BatchTooLarge      Kind = "BatchTooLarge"
	CorruptBatch       Kind = "CorruptBatch"
	InvalidBatch       Kind = "InvalidBatch"
	UndecodableBatch   Kind = "UndecodableBatch"
	OutOfOrderSequence Kind = "OutOfOrderSequence"
	DuplicateSequence  Kind = "DuplicateSequence"
	UnknownProducer    Kind = "UnknownProducer"
	ProducerFenced     Kind = "ProducerFenced"
	TooManyProducers   Kind = "TooManyProducers"
	OffsetOutOfRange   Kind = "OffsetOutOfRange"
	NotOwner           Kind = "NotOwner"
	NotServing         Kind = "NotServing"
	QueueFull          Kind = "QueueFull"
	StoreUnavailable   Kind = "StoreUnavailable"
	TooFewReplicas     Kind = "TooFewReplicas"
	MetaUnavailable    Kind = "MetaUnavailable"
	StoreInUse         Kind = "StoreInUse"
	CorruptSegment     Kind = "CorruptSegment"
	NewerFormat        Kind = "NewerFormat"
	BrokenChain        Kind = "BrokenChain"
	RestoredRecord     Kind = "RestoredRecord"
	Unauthenticated    Kind = "Unauthenticated"
	Untrusted          Kind = "Untrusted"
	Overloaded         Kind = "Overloaded"
	LimitReached       Kind = "LimitReached"
	Unavailable        Kind = "Unavailable"
	Timeout            Kind = "Timeout"
	Canceled           Kind = "Canceled"
	Closed             Kind = "Closed"
	Incompatible       Kind = "Incompatible"
	Internal           Kind = "Internal"
)

// Class is what the table says of a kind.
type Class struct {
	// Code is the gRPC code by which clients in any language see the kind.
	Code codes.Code
	// Retryable says that the same request may succeed later, and that sending it
	// again is safe.
	Retryable bool
	// Text says what happened, in one sentence without a full stop.
	Text string
	// Hint says what to do about it.
	Hint string
}

var kinds = map[Kind]Class{
	InvalidTopicName: {
		codes.InvalidArgument, false, "the topic's name can't be used",
		"use 1 to 249 letters, digits, '.', '_' and '-'",
	},
	InvalidConfig: {
		codes.InvalidArgument, false, "a setting has a value that can't be used",
		"mend every setting that the message names",
	},
	InvalidRequest: {
		codes.InvalidArgument, false, "the request is malformed",
		"mend what the message names; if a Talos client made the request, update it",
	},
	UnknownTopic: {
		codes.NotFound, false, "there is no such topic",
		"check the name with `talos topic list`, or create it with `talos topic create`",
	},
	UnknownPartition: {
		codes.NotFound, false, "the topic has no such partition",
		"`talos topic describe` shows how many it has; they count from 0",
	},
	UnknownNode: {
		codes.NotFound, false, "there is no such node in the cluster",
		"`talos node list` shows those that are there, by their ids",
	},
	UnschedulableNode: {
		codes.FailedPrecondition, false, "the node takes no partitions now",
		"`talos node uncordon` takes a drain back, `talos node list` shows what else it is; or choose another node",
	},
	TopicExists: {
		codes.AlreadyExists, false, "a topic of this name exists already",
		"use it, choose another name, or delete it first",
	},
	InvalidGroupName: {
		codes.InvalidArgument, false, "the group's name can't be used",
		"use 1 to 249 letters, digits, '.', '_' and '-'",
	},
	UnknownGroup: {
		codes.NotFound, false, "there is no such consumer group",
		"`talos group list` shows those that there are; a group begins with its first member or its first committed offset",
	},
	GroupNotEmpty: {
		codes.FailedPrecondition, false, "the consumer group has members",
		"stop them first; `talos group describe` shows who they are",
	},
	GroupFull: {
		codes.FailedPrecondition, false, "the consumer group has as many members as it may have",
		"use fewer members; more than there are partitions read nothing",
	},
	UnknownMember: {
		codes.FailedPrecondition, false, "the consumer group does not have this member, or no longer",
		"clients join again by themselves; if it repeats, the member is slower than its session's time",
	},
	FencedMember: {
		codes.FailedPrecondition, false, "the member has been passed over: its partitions may be read by others",
		"clients join again by themselves; what was not committed is read again by whoever has the partition",
	},
	FencedInstance: {
		codes.FailedPrecondition, false, "another member of the group has this instance id now",
		"give each member an instance id of its own, or none",
	},
	RecordTooLarge: {
		codes.InvalidArgument, false, "the record is larger than the limit",
		"split it, or keep the payload elsewhere and send a reference",
	},
	BatchTooLarge: {
		codes.InvalidArgument, false, "the record batch is larger than the limit",
		"send fewer records in one batch",
	},
	CorruptBatch: {
		codes.DataLoss, true, "the record batch was damaged on its way: its checksum does not match",
		"it was not stored and is sent again; if this repeats, suspect memory or network of the producer's host",
	},
	InvalidBatch: {
		codes.InvalidArgument, false, "the record batch is not well formed",
		"only RecordBatch v2 (magic 2) with a consistent header is taken; check the client that built it",
	},
	UndecodableBatch: {
		codes.DataLoss, false, "a record batch can't be decoded",
		"its producer built it wrongly; seek behind it to go on (the message names the offset)",
	},
	OutOfOrderSequence: {
		codes.FailedPrecondition, false, "a batch of this producer is missing before this one",
		"the producer lost its order; close it and open a new one",
	},
	DuplicateSequence: {
		codes.AlreadyExists, false, "the batch was stored earlier, too long ago to know its offset",
		"nothing is lost; the producer resent a batch from before its last five",
	},
	UnknownProducer: {
		codes.FailedPrecondition, false, "the partition no longer knows this producer",
		"open a new producer; whether a batch without an answer was stored can't be told",
	},
	ProducerFenced: {
		codes.FailedPrecondition, false, "a newer producer with the same id has taken over",
		"close this producer",
	},
	TooManyProducers: {
		codes.ResourceExhausted, true, "the partition knows as many producers as it can, all of which sent something lately",
		"keep producers open instead of opening one for each record, or use more partitions; clients retry by themselves",
	},
	OffsetOutOfRange: {
		codes.OutOfRange, false, "there is no record at this offset",
		"start from earliest or latest, or from an offset within the range that the message gives",
	},
	NotOwner: {
		codes.Unavailable, true, "another node owns the partition",
		"clients follow by themselves; if it lasts, no node may be live",
	},
	NotServing: {
		codes.Unavailable, true, "the partition is not served yet",
		"clients retry by themselves; the node's log and /readyz say what it waits for",
	},
	QueueFull: {
		codes.ResourceExhausted, true, "the partition's queue is full: data arrives faster than the store takes it",
		"clients retry by themselves; use more partitions or a faster store if it lasts",
	},
	StoreUnavailable: {
		codes.Unavailable, true, "the store can't be used",
		"check the store (disk full? file system read-only? service down?); nothing acknowledged is lost",
	},
	TooFewReplicas: {
		codes.Unavailable, true, "the store can't write as many replicas as it must",
		"bring DataNodes back or add some (`hdfs dfsadmin -report` shows them); nothing acknowledged is lost",
	},
	MetaUnavailable: {
		codes.Unavailable, true, "etcd can't be used",
		"check etcd's health and the network to it; nothing acknowledged is lost",
	},
	StoreInUse: {
		codes.FailedPrecondition, false, "the data folder is in use by another process",
		"stop the process that the message names, or choose another folder",
	},
	CorruptSegment: {
		codes.DataLoss, false, "a segment is damaged",
		"the message names file and position; restore that file from a copy, and check the disk",
	},
	NewerFormat: {
		codes.FailedPrecondition, false, "it was written by a newer version of Talos",
		"update this program; nothing is wrong with the data",
	},
	BrokenChain: {
		codes.DataLoss, false, "a segment is missing from the partition's chain",
		"the message names what is missing; restore it from a copy; nothing else was removed",
	},
	RestoredRecord: {
		codes.FailedPrecondition, false, "the store is ahead of etcd: etcd seems restored from an old copy",
		"do not delete anything; rebuild the partition's record from the store",
	},
	Unauthenticated: {
		codes.Unauthenticated, false, "the node did not let the client in",
		"give a token that the node knows (--token-file or TALOS_TOKEN) or a certificate of its client CA that is in force (--tls-cert and --tls-key)",
	},
	Untrusted: {
		codes.Unavailable, true, "there is no trusted connection to the node",
		"--tls-ca must name the authority of the node's certificate, which must be in force and name the host of --server; TLS must be on at both ends or at none",
	},
	Overloaded: {
		codes.ResourceExhausted, true, "the node is at one of its limits",
		"clients retry by themselves; if it lasts, spread the clients, or raise the limit that the message names",
	},
	LimitReached: {
		codes.FailedPrecondition, false, "a limit does not allow another one",
		"delete what is not needed, or raise the limit that the message names in the node's configuration",
	},
	Unavailable: {
		codes.Unavailable, true, "the node can't be reached",
		"check that it runs (`talos dev`), and its address (--server or TALOS_SERVER)",
	},
	Timeout: {
		codes.DeadlineExceeded, true, "the time for this was up",
		"check the node's log and load, or allow more time",
	},
	Canceled: {codes.Canceled, false, "the request was canceled", "the caller ended it"},
	Closed: {
		codes.FailedPrecondition, false, "it is closed already",
		"a client, producer or consumer can't be used after Close",
	},
	Incompatible: {
		codes.FailedPrecondition, false, "client and node speak no protocol in common",
		"update the one that the message names; releases next to each other always work together",
	},
	Internal: {
		codes.Internal, false, "a fault of Talos itself",
		"please report it with the node's log",
	},
}

// Class returns what the table says of the kind; a kind that this version does
// not know counts as Internal.
func (k Kind) Class() Class {
	if c, ok := kinds[k]; ok {
		return c
	}
	return kinds[Internal]
}

// Error makes a kind usable as an error and as a target of errors.Is.
func (k Kind) Error() string { return k.Class().Text }

// Known tells whether this version knows the kind.
func (k Kind) Known() bool { _, ok := kinds[k]; return ok }

// Kinds returns all kinds, sorted by name.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kinds))
	for k := range kinds {
		all = append(all, k)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all
}
