package coordinator

import (
	"strconv"

	"github.com/talos-log/talos/talos"
)

// The key layout; doc.go draws it.
const (
	root = "/talos/v1/"

	clusterKey       = root + "cluster"
	producerBlockKey = root + "producer-block"

	idsPrefix     = root + "ids/"
	recordsPrefix = root + "records/"
	deletedPrefix = root + "deleted/"

	// viewPrefix is what every node watches.
	viewPrefix        = root + "view/"
	schedulerKey      = viewPrefix + "scheduler"
	nodesPrefix       = viewPrefix + "nodes/"
	topicsPrefix      = viewPrefix + "topics/"
	assignmentsPrefix = viewPrefix + "assignments/"
	leavingPrefix     = viewPrefix + "leaving/"
	pinsPrefix        = viewPrefix + "pins/"
	loadsPrefix       = viewPrefix + "loads/"
)

func nodeKey(id string) string { return nodesPrefix + id }

func leavingKey(id string) string { return leavingPrefix + id }

func loadKey(id string) string { return loadsPrefix + id }

func topicKey(name talos.TopicName) string { return topicsPrefix + string(name) }

func assignmentKey(id talos.TopicID) string { return assignmentsPrefix + id.String() }

func pinsKey(id talos.TopicID) string { return pinsPrefix + id.String() }

func idKey(id talos.TopicID) string { return idsPrefix + id.String() }

func deletedKey(id talos.TopicID) string { return deletedPrefix + id.String() }

// topicRecordsPrefix ends in a slash, so it covers one topic only.
func topicRecordsPrefix(id talos.TopicID) string { return recordsPrefix + id.String() + "/" }

func recordKey(id talos.PartitionID) string {
	return topicRecordsPrefix(id.Topic) + strconv.FormatInt(int64(id.Number), 10)
}
