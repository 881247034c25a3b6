package coordinator

import (
	"strconv"

	"github.com/talos-log/talos/talos"
)

// The key layout; doc.go draws it.
const (
	root = "/talos/v1/"

	clusterKey       = root + "cluster"
	activeKey        = root + "active"
	producerBlockKey = root + "producer-block"

	topicsPrefix  = root + "topics/"
	idsPrefix     = root + "ids/"
	recordsPrefix = root + "records/"
	deletedPrefix = root + "deleted/"
)

func topicKey(name talos.TopicName) string { return topicsPrefix + string(name) }

func idKey(id talos.TopicID) string { return idsPrefix + id.String() }

func deletedKey(id talos.TopicID) string { return deletedPrefix + id.String() }

// topicRecordsPrefix ends in a slash, so it covers one topic only.
func topicRecordsPrefix(id talos.TopicID) string { return recordsPrefix + id.String() + "/" }

func recordKey(id talos.PartitionID) string {
	return topicRecordsPrefix(id.Topic) + strconv.FormatInt(int64(id.Number), 10)
}
