package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Type is what a metric is to Prometheus.
type Type string

// The types.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Description is one metric.
type Description struct {
	Name string
	Type Type
	Help string
	// Labels have few values each; Help or the label's name says which.
	Labels []string
	// Buckets are a histogram's upper bounds.
	Buckets []float64
}

var (
	// fast is 0.25 ms to 8 s, for what ends in a store or a client's patience.
	fast = prometheus.ExponentialBuckets(0.000_25, 2, 16)
	// remote is 1 ms to 16 s.
	remote = prometheus.ExponentialBuckets(0.001, 2, 15)
	// slow is 1 ms to a minute, for openings and recoveries.
	slow = prometheus.ExponentialBuckets(0.001, 3, 11)
	// few is 1 to 4096, for counts.
	few = prometheus.ExponentialBuckets(1, 2, 13)
	// sizes is 256 B to 4 MiB, a group's limit being 2 MiB.
	sizes = prometheus.ExponentialBuckets(256, 4, 8)
)

// All returns the list, sorted by name. The caller must not change it.
func All() []Description { return all }

var all = sorted(server, groups, partition, store, hdfs, s3)

func sorted(groups ...[]Description) []Description {
	list := slices.Concat(groups...)
	slices.SortFunc(list, func(a, b Description) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		default:
			return 0
		}
	})
	return list
}

// server is what clients notice of a node.
var server = []Description{
	{Name: "talos_server_appended_batches_total", Type: Counter, Help: "Record batches that were acknowledged."},
	{Name: "talos_server_appended_bytes_total", Type: Counter, Help: "Bytes of the record batches that were acknowledged."},
	{
		Name: "talos_server_append_seconds", Type: Histogram, Buckets: fast,
		Help: "Time from the receipt of a record batch to its acknowledgement.",
	},
	{Name: "talos_server_appends_refused_total", Type: Counter, Help: "Record batches that were answered with an error."},
	{Name: "talos_server_waiting_batches", Type: Gauge, Help: "Record batches that were received and wait for the store now."},
	{Name: "talos_server_fetched_bytes_total", Type: Counter, Help: "Bytes of record batches in answers to fetches."},
	{
		Name: "talos_server_fetch_seconds", Type: Histogram, Buckets: fast,
		Help: "Time to put a fetch's answer together, without the time that it waited for records to come.",
	},
	{Name: "talos_server_long_polls", Type: Gauge, Help: "Fetches that wait for records now."},
	{Name: "talos_server_open_partitions", Type: Gauge, Help: "Partitions that are open now."},
	{
		Name: "talos_server_refused_partitions", Type: Gauge, Labels: []string{"kind"},
		Help: "Partitions that were asked for, and that an operator must look at: they can't be opened, by the kind of error that it is.",
	},
	{
		Name: "talos_server_errors_total", Type: Counter, Labels: []string{"kind"},
		Help: "Errors in answers, for a whole call or for a part of it, by kind.",
	},
	{Name: "talos_server_connections_refused_total", Type: Counter, Help: "Connections that were closed at once because there were too many."},
	{
		Name: "talos_server_connections_closed_total", Type: Counter,
		Help: "Connections that were closed because an answer was not read in time, or too many calls were refused.",
	},
	{Name: "talos_server_panics_total", Type: Counter, Help: "Calls and background work that ended in a panic. Each is a fault of Talos."},
	{
		Name: "talos_server_memory_bytes", Type: Gauge, Labels: []string{"use"},
		Help: "Memory that is held now, by use: requests are batches without an answer, answers are fetches being put together or sent, tails are the newest batches of all partitions, history is what was read of segments.",
	},
	{
		Name: "talos_server_removed_segments_total", Type: Counter,
		Help: "Segments that were removed from the store: expired, deleted, or left over by an owner that was deposed.",
	},
	{Name: "talos_server_removed_bytes_total", Type: Counter, Help: "Bytes of the segments that were removed from the store."},
	{Name: "talos_server_serving", Type: Gauge, Help: "1 while the node is registered in etcd and may own partitions, else 0."},
	{
		Name: "talos_server_registrations_total", Type: Counter,
		Help: "Times that the node registered in etcd. Each after the first means that its session had ended: it served nothing in between.",
	},
	{
		Name: "talos_server_owned_partitions", Type: Gauge, Labels: []string{"state"},
		Help: "Partitions that are assigned to the node, by state: owned, or coming from another node.",
	},
	{Name: "talos_server_handed_over_total", Type: Counter, Help: "Partitions that the node gave to another one in a planned move."},
	{
		Name: "talos_server_handover_seconds", Type: Histogram, Buckets: remote,
		Help: "Time that the node took to close a partition in a planned move, before the next owner may open it.",
	},
}

// groups is about the consumer groups that a node coordinates.
var groups = []Description{
	{
		Name: "talos_groups_size", Type: Gauge, Labels: []string{"of"},
		Help: "Consumer groups that the node coordinates now, and their members; of is groups or members.",
	},
	{Name: "talos_groups_rebalances_total", Type: Counter, Help: "Times that who should read what was changed in a consumer group."},
	{Name: "talos_groups_commits_total", Type: Counter, Help: "Commits of offsets that were acknowledged."},
	{
		Name: "talos_groups_heartbeat_seconds", Type: Histogram, Buckets: fast,
		Help: "Time to handle a heartbeat of a member, without the time that it waited for something new.",
	},
	{Name: "talos_groups_loads_total", Type: Counter, Help: "Times that a coordinator of groups was loaded from its partition."},
	{
		Name: "talos_groups_lag_records", Type: Gauge, Labels: []string{"group", "topic"},
		Help: "Offsets between what a consumer group has committed, or the start where it has committed nothing, and the end, over all partitions of a topic that it has committed any offset of, every 15 s. Not shown while the end of a partition is not known. Each coordinator shows 200 pairs of group and topic at the most.",
	},
	{
		Name: "talos_groups_lag_unknown_partitions", Type: Gauge, Labels: []string{"group", "topic"},
		Help: "Partitions of the topic whose end the group's coordinator could not learn, here or from the node that owns them: the lag is not shown meanwhile.",
	},
}

// partition is about the logs that a node has open, all together.
var partition = []Description{
	{
		Name: "talos_partition_group_batches", Type: Histogram, Buckets: few,
		Help: "Record batches that one append to the store carried: the group commit.",
	},
	{Name: "talos_partition_group_bytes", Type: Histogram, Buckets: sizes, Help: "Bytes of the record batches that one append to the store carried."},
	{Name: "talos_partition_duplicates_total", Type: Counter, Help: "Record batches that an earlier attempt of their producer had stored already."},
	{
		Name: "talos_partition_open_seconds", Type: Histogram, Buckets: slow, Labels: []string{"outcome"},
		Help: "Time to open a partition: fencing, listing, recovery, loading its tail; by outcome, ok or failed.",
	},
	{Name: "talos_partition_fenced_total", Type: Counter, Help: "Open partitions that ended since a later owner was found, or the right to own them was gone."},
	{Name: "talos_partition_segments_started_total", Type: Counter, Help: "Segments that became the newest of their partition."},
	{Name: "talos_partition_segment_starts_failed_total", Type: Counter, Help: "Attempts to begin a segment that failed."},
	{
		Name: "talos_partition_segments_ended_total", Type: Counter, Labels: []string{"reason"},
		Help: "Segments that were ended, by reason: size, age, idle, close, store (it asked for another one), broken (an append failed, or had no answer in time).",
	},
	{
		Name: "talos_partition_reads_total", Type: Counter, Labels: []string{"from"},
		Help: "Reads of batches, by where they came from: tail is memory, segment is the store.",
	},
	{Name: "talos_partition_index_loads_total", Type: Counter, Help: "Segments whose index was loaded for a reader since it was not in memory."},
	{
		Name: "talos_partition_memory_bytes", Type: Gauge, Labels: []string{"use"},
		Help: "Memory that open partitions hold for batches now, by use: queue waits to be appended, inflight waits for the store.",
	},
}

// store is about any store, seen from its callers.
var store = []Description{
	{
		Name: "talos_store_operation_seconds", Type: Histogram, Buckets: fast, Labels: []string{"operation"},
		Help: "Time that an operation of the store took, failed or not: create, append, seal, recover, open, read, size, list, remove, purge. An append counts from its issue until it is durable.",
	},
	{
		Name: "talos_store_errors_total", Type: Counter, Labels: []string{"operation", "kind"},
		Help: "Operations of the store that failed, by kind: exists, not_found, dead (the segment was ended by somebody), canceled, other.",
	},
	{
		Name: "talos_store_bytes_total", Type: Counter, Labels: []string{"operation"},
		Help: "Bytes that appends made durable (append), and that were read (read).",
	},
	{Name: "talos_store_open_appenders", Type: Gauge, Help: "Segments that are open for writing now."},
}

// hdfs is what only the HDFS store knows.
var hdfs = []Description{
	{Name: "talos_hdfs_segments_created_total", Type: Counter, Help: "Segments that were created."},
	{
		Name: "talos_hdfs_open_segments", Type: Gauge,
		Help: "Segments that are open for writing now. Each costs each of its DataNodes two threads.",
	},
	{Name: "talos_hdfs_degraded_segments", Type: Gauge, Help: "Open segments with fewer replicas than wanted."},
	{
		Name: "talos_hdfs_segments_broken_total", Type: Counter,
		Help: "Segments that were given up since a DataNode failed or did not answer in time.",
	},
	{
		Name: "talos_hdfs_datanode_failures_total", Type: Counter,
		Help: "DataNodes that failed and are left out of new segments for a while; each counts once meanwhile.",
	},
	{
		Name: "talos_hdfs_recoveries_total", Type: Counter,
		Help: "Segments of others, or given up, that were recovered.",
	},
	{
		Name: "talos_hdfs_slow_rolls_total", Type: Counter,
		Help: "Segments that were ended since appends to them waited for one DataNode half of the time, and go on without it for a while.",
	},
	{
		Name: "talos_hdfs_leftovers_closed_total", Type: Counter,
		Help: "Segments that this node had given up, and closed on the DataNodes that did not fail, without a lease recovery.",
	},
	{
		Name: "talos_hdfs_read_failovers_total", Type: Counter, Labels: []string{"reason"},
		Help: "Reads that went on with another replica, by reason; checksum means that a replica is damaged.",
	},
}

// s3 is what only the S3 store knows.
var s3 = []Description{
	{
		Name: "talos_s3_requests_total", Type: Counter, Labels: []string{"method", "status"},
		Help: "Requests to the object store, by method and HTTP status; none means that no answer came. 412 to a PUT means that a segment was ended by somebody else.",
	},
	{
		Name: "talos_s3_request_seconds", Type: Histogram, Buckets: remote, Labels: []string{"method"},
		Help: "Time from a request to the head of its answer, by method.",
	},
}
