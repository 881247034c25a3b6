package chaos

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
)

// storeFaults are what happens to the store's servers.
func storeFaults() []Fault {
	return []Fault{
		{Name: "kill-minio", can: func(w *World) bool { return w.store.server != nil }, begin: killMinIO},
		{Name: "pause-minio", can: func(w *World) bool { return w.store.server != nil }, begin: pauseMinIO},
		{Name: "kill-datanode", can: func(w *World) bool { return w.store.cluster != nil }, begin: killDataNode},
		{Name: "pause-datanode", can: func(w *World) bool { return w.store.cluster != nil }, begin: pauseDataNode},
	}
}

// killMinIO ends the S3 server, for a while.
func killMinIO(w *World) happening {
	before := w.History.Acks()
	require.NoError(w.T, w.store.server.Kill())
	begun := time.Now()
	w.pass(w.between(time.Millisecond, w.Config.Lease))
	return happening{
		felt: func() string {
			return fmt.Sprintf("MinIO was gone for %v, %d acknowledgements meanwhile",
				time.Since(begun).Round(time.Millisecond), w.History.Acks()-before)
		},
		heal: func() { require.NoError(w.T, w.store.server.Start(w.T.Context())) },
	}
}

// pauseMinIO lets the S3 server stand still.
func pauseMinIO(w *World) happening {
	before := w.History.Acks()
	require.NoError(w.T, w.store.server.Stop())
	begun := time.Now()
	w.pass(w.between(10*time.Millisecond, 2*w.Config.Lease))
	return happening{
		felt: func() string {
			return fmt.Sprintf("MinIO stood still for %v, %d acknowledgements meanwhile",
				time.Since(begun).Round(time.Millisecond), w.History.Acks()-before)
		},
		heal: func() { require.NoError(w.T, w.store.server.Continue()) },
	}
}

// killDataNode ends one of HDFS's DataNodes, which comes back.
func killDataNode(w *World) happening {
	all := w.store.cluster.DataNodes()
	victim := all[w.rng.IntN(len(all))]
	since := w.History.Now()
	victim.Kill(w.T)
	return happening{
		felt: func() string {
			w.AwaitServed(since)
			return fmt.Sprintf("%s was killed, %d records acknowledged without it", victim, w.History.AckedOfSince(since))
		},
		heal: func() { w.store.cluster.Restore(w.T) },
	}
}

// pauseDataNode lets one of HDFS's DataNodes stand still.
func pauseDataNode(w *World) happening {
	all := w.store.cluster.DataNodes()
	victim := all[w.rng.IntN(len(all))]
	since := w.History.Now()
	victim.Stop(w.T)
	return happening{
		felt: func() string {
			w.AwaitServed(since)
			return fmt.Sprintf("%s stood still, %d records acknowledged without it", victim, w.History.AckedOfSince(since))
		},
		heal: func() { w.store.cluster.Restore(w.T) },
	}
}
