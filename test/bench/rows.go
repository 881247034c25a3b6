package bench

import (
	"context"

	"github.com/talos-log/talos/talos"
)

// row is one question, with what it is asked of.
type row struct {
	Number    int
	Title     string
	workloads func(l *lab) []workload
}

// workload is one load under which contenders are compared.
type workload struct {
	name string
	// once: there is one leg, which lasts as long as it needs.
	once bool
	// bytes bounds a leg beyond what the plan does; 0: it doesn't.
	bytes      int64
	contenders []contender
	figures    []figure
}

// contender is one system under a workload.
type contender struct {
	name string
	open func(ctx context.Context) (runner, error)
}

// figure is one number of a workload: that of a contender, or its ratio to that of
// another one.
type figure struct {
	name   string
	value  func(outcome) float64
	of, to string
	// target is for the figure: at most that, or with more at least. 0: there is none.
	target float64
	more   bool
}

// Names of contenders.
const (
	ours       = "Talos"
	oursFlush  = "Talos, HDFS flush"
	oursSync   = "Talos, HDFS sync"
	natsName   = "NATS"
	natsAlways = "NATS, always"
	kafkaName  = "Kafka"
	kafkaFlush = "Kafka, flush.messages=1"
	kafkaThree = "Kafka, 3 brokers"
	javaName   = "Hadoop's client"
	diskName   = "the disk"
)

// rows are all questions.
func rows() []row {
	return []row{
		{1, "Local disk, acknowledged when synced: 16 partitions at full speed, 1 KiB", fullSpeed},
		{2, "Local disk, one synchronous producer, 1 KiB, against a bare gRPC round trip and fdatasync", oneProducer},
		{3, "HDFS, three copies: 16 partitions, 1 KiB, against three brokers", onThree},
		{4, "HDFS, streaming to one partition, 16 KiB", streaming},
		{5, "HDFS, 128 partitions with one synchronous producer each, 100 B", manyFiles},
		{6, "Consumers at the tail, 16 partitions, 1 KiB", tailing},
		{7, "Catching up with a long history", catchingUp},
		{8, "Many partitions on one node", manyPartitions},
		{9, "Processor time and memory for a million records, produced and consumed once", costing},
		{10, "S3: 16 partitions, 1 KiB, by commit interval", objects},
		{11, "Memory, with producers at full speed and slow consumers", memorySoak},
	}
}

// fleetOf makes a contender of a system and a load.
func fleetOf(l *lab, name string, s func(context.Context) (system, error), of load) contender {
	return contender{name, func(ctx context.Context) (runner, error) {
		running, err := s(ctx)
		if err != nil {
			return nil, err
		}
		return openFleet(ctx, running, of, l.plan.History)
	}}
}

// busy is a load at full speed.
func busy() load { return load{partitions: 16, size: 1 << 10, producers: 4, window: 2048} }

// paced is a load of so many records a second.
func paced(rate float64) load { return load{partitions: 16, size: 1 << 10, producers: 4, rate: rate} }

// followed is a load with consumers at the tail.
func (l load) followed(consumers int) load {
	l.consumers = consumers
	return l
}

func fullSpeed(l *lab) []workload {
	return []workload{{
		name: "full speed",
		contenders: []contender{
			fleetOf(l, ours, l.local, busy()),
			fleetOf(l, natsName, l.jetStream(false), busy()),
			fleetOf(l, natsAlways, l.jetStream(true), busy()),
			fleetOf(l, kafkaName, l.brokers(kafkaKind{1, false}), busy()),
			fleetOf(l, kafkaFlush, l.brokers(kafkaKind{1, true}), busy()),
			{diskName, l.disk},
		},
		figures: []figure{
			{name: "records/s", value: recordRate, of: ours, to: natsName, target: 1.5, more: true},
			{name: "records/s", value: recordRate, of: ours, to: natsAlways, target: 20, more: true},
			{name: "records/s", value: recordRate, of: ours, to: kafkaFlush, target: 3, more: true},
			{name: "records/s", value: recordRate, of: ours, to: kafkaName, target: 1, more: true},
			{name: "MiB/s (enough instead of the one above)", value: byteRate, of: ours, to: diskName, target: 0.8, more: true},
		},
	}}
}

func oneProducer(l *lab) []workload {
	return []workload{{
		name:       "synchronous",
		contenders: []contender{{ours, l.synchronous}},
		figures: []figure{
			{name: "p50 / (fdatasync + gRPC)", value: own("p50"), of: ours, target: 1.25},
			{name: "p99 / (fdatasync + gRPC)", value: own("p99"), of: ours, target: 1.5},
		},
	}}
}

func onThree(l *lab) []workload {
	three := func(of load) []contender {
		return []contender{
			fleetOf(l, oursFlush, l.onHDFS(talos.Flush), of),
			fleetOf(l, oursSync, l.onHDFS(talos.Sync), of),
			fleetOf(l, kafkaThree, l.brokers(kafkaKind{3, false}), of),
		}
	}
	p99 := produceLatency(0.99)
	return []workload{
		{name: "HDFS full speed", contenders: three(busy()), figures: []figure{
			{name: "records/s", value: recordRate, of: oursFlush, to: kafkaThree, target: 2, more: true},
			{name: "records/s", value: recordRate, of: oursSync, to: kafkaThree},
		}},
		{name: "HDFS 5,000 per s", contenders: three(paced(5000)), figures: []figure{
			{name: "p99", value: p99, of: oursFlush, to: kafkaThree, target: 0.3},
			{name: "p99", value: p99, of: oursSync, to: kafkaThree},
		}},
		{name: "HDFS 20,000 per s", contenders: three(paced(20_000)), figures: []figure{
			{name: "p99", value: p99, of: oursFlush, to: kafkaThree, target: 0.3},
			{name: "p99", value: p99, of: oursSync, to: kafkaThree},
		}},
	}
}

// maxStream is what is streamed in a leg, in bytes: Hadoop's file stays within a block.
const maxStream = 100 << 20

func streaming(l *lab) []workload {
	of := load{partitions: 1, size: 16 << 10, producers: 1, window: 512}
	return []workload{{
		name: "streaming", bytes: maxStream,
		contenders: []contender{
			fleetOf(l, oursFlush, l.onHDFS(talos.Flush), of),
			{javaName, func(ctx context.Context) (runner, error) {
				client, err := l.hadoopClient(ctx)
				return javaStream{client, int64(of.size)}, err
			}},
		},
		figures: []figure{{name: "MiB/s", value: byteRate, of: oursFlush, to: javaName, target: 1.2, more: true}},
	}}
}

func manyFiles(l *lab) []workload {
	const files, size = 128, 100
	of := load{partitions: files, size: size, producers: files, window: 1}
	return []workload{{
		name: "128 producers",
		contenders: []contender{
			fleetOf(l, oursFlush, l.onHDFS(talos.Flush), of),
			{javaName, func(ctx context.Context) (runner, error) {
				client, err := l.hadoopClient(ctx)
				return javaAppends{client, files, size}, err
			}},
		},
		figures: []figure{
			{name: "records/s", value: recordRate, of: oursFlush, to: javaName, target: 0.9, more: true},
			{name: "p50", value: produceLatency(0.5), of: oursFlush, to: javaName},
		},
	}}
}

// beyond is how much later consumers have a record than its producer knows that it
// is stored, in milliseconds at the median.
func beyond(o outcome) float64 { return endToEnd(0.5)(o) - produceLatency(0.5)(o) }

func tailing(l *lab) []workload {
	all := func(of load) []contender {
		return []contender{
			fleetOf(l, ours, l.local, of),
			fleetOf(l, natsName, l.jetStream(false), of),
			fleetOf(l, kafkaName, l.brokers(kafkaKind{1, false}), of),
		}
	}
	return []workload{
		{name: "tail 5,000 per s", contenders: all(paced(5000).followed(2)), figures: []figure{
			{name: "p50 end to end - p50 of produce, ms", value: beyond, of: ours, target: 1},
			{name: "p50 end to end", value: endToEnd(0.5), of: ours, to: kafkaName},
			{name: "p99 end to end", value: endToEnd(0.99), of: ours, to: kafkaName},
			{name: "p99 end to end", value: endToEnd(0.99), of: ours, to: natsName},
		}},
		{name: "tail full speed", contenders: all(busy().followed(2)), figures: []figure{
			{name: "MiB/s consumed", value: consumeRate, of: ours, to: kafkaName, target: 1, more: true},
			{name: "MiB/s consumed", value: consumeRate, of: ours, to: natsName},
		}},
	}
}

// catchUpRate is what a consumer that catches up reads while producers' latency is
// looked at, in bytes a second.
const catchUpRate = 100 << 20

func catchingUp(l *lab) []workload {
	reading := func(name string, s func(context.Context) (system, error)) contender {
		return contender{name, func(ctx context.Context) (runner, error) {
			running, err := s(ctx)
			if err != nil {
				return nil, err
			}
			return openCatchUp(ctx, running, l.plan.History)
		}}
	}
	disturbed := paced(5000)
	disturbed.catchUp = catchUpRate
	const alone, with = " alone", " beside a catch-up"
	kafka := l.brokers(kafkaKind{1, false})
	return []workload{
		{
			name: "catch-up",
			contenders: []contender{
				reading(ours, l.local), reading(oursFlush, l.onHDFS(talos.Flush)), reading(kafkaName, kafka),
			},
			figures: []figure{
				{name: "MiB/s", value: consumeRate, of: ours, to: kafkaName, target: 1, more: true},
				{name: "MiB/s", value: consumeRate, of: oursFlush, to: kafkaName, target: 1, more: true},
			},
		},
		{
			name: "produce beside a catch-up",
			contenders: []contender{
				fleetOf(l, ours+alone, l.local, paced(5000)), fleetOf(l, ours+with, l.local, disturbed),
				fleetOf(l, oursFlush+alone, l.onHDFS(talos.Flush), paced(5000)), fleetOf(l, oursFlush+with, l.onHDFS(talos.Flush), disturbed),
				fleetOf(l, kafkaName+alone, kafka, paced(5000)), fleetOf(l, kafkaName+with, kafka, disturbed),
			},
			figures: []figure{
				{name: "p99 of produce", value: produceLatency(0.99), of: ours + with, to: ours + alone, target: 1.5},
				{name: "p99 of produce", value: produceLatency(0.99), of: oursFlush + with, to: oursFlush + alone, target: 1.5},
				{name: "p99 of produce", value: produceLatency(0.99), of: kafkaName + with, to: kafkaName + alone},
				{name: "MiB/s of the catch-up", value: own("catch_up_mib_per_s"), of: ours + with},
				{name: "MiB/s of the catch-up", value: own("catch_up_mib_per_s"), of: oursFlush + with},
			},
		},
	}
}

func costing(l *lab) []workload {
	all := func(of load) []contender {
		return []contender{
			fleetOf(l, ours, l.local, of),
			fleetOf(l, natsName, l.jetStream(false), of),
			fleetOf(l, kafkaName, l.brokers(kafkaKind{1, false}), of),
		}
	}
	figures := []figure{
		{name: "processor time", value: cpuPerMillion, of: ours, to: kafkaName, target: 0.5},
		{name: "processor time", value: cpuPerMillion, of: ours, to: natsName, target: 1},
		{name: "peak memory", value: peakMiB, of: ours, to: kafkaName},
		{name: "peak memory", value: peakMiB, of: ours, to: natsName},
	}
	return []workload{
		{name: "cost full speed", contenders: all(busy().followed(1)), figures: figures},
		{name: "cost 20,000 per s", contenders: all(paced(20_000).followed(1)), figures: figures},
	}
}
