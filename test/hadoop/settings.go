package hadoop

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// property is one setting of Hadoop.
type property struct {
	Name  string `xml:"name"`
	Value string `xml:"value"`
}

// coreSettings are in core-site.xml. That a dead DataNode is given up soon, be its
// process or its host dead, makes lease recovery quick; operators are told the same.
func (c *Cluster) coreSettings() []property {
	return append([]property{
		{"fs.defaultFS", c.URL()},
		{"hadoop.tmp.dir", c.path("tmp")},
		{"ipc.client.connect.max.retries", "1"},
		{"ipc.client.connect.retry.interval", "200"},
		{"ipc.client.connect.timeout", "2000"},
		{"ipc.client.connect.max.retries.on.timeouts", "1"},
	}, c.own...)
}

// Set makes settings apply to the daemons that are started from now on: each is a
// name and a value. Without any, what was set before is undone.
func (c *Cluster) Set(t testing.TB, settings ...[2]string) {
	t.Helper()
	c.own = nil
	for _, s := range settings {
		// The last one of a name counts.
		c.own = append(c.own, property{s[0], s[1]})
	}
	require.NoError(t, c.configure())
}

// hdfsSettings are in hdfs-site.xml; what differs from one DataNode to the next
// is on its command line.
func (c *Cluster) hdfsSettings() []property {
	own := c.pairSettings()
	if !c.cfg.Pair {
		own = []property{
			{"dfs.namenode.name.dir", fileURL(c.path("name"))},
			{"dfs.namenode.http-address", c.name.pages},
		}
	}
	return append(append(own, []property{
		{"dfs.replication", fmt.Sprint(min(len(c.data), defaultDataNodes))},
		{"dfs.heartbeat.interval", "1"},
		// A recovery leaves out DataNodes that were silent for so long: three heartbeats.
		{"dfs.namenode.stale.datanode.interval", "3000"},
		// Tests write short files in small blocks.
		{"dfs.namenode.fs-limits.min-block-size", "4096"},
		// A DataNode that was just used is as good as another one.
		{"dfs.namenode.redundancy.considerLoad", "false"},
		// All of them share 127.0.0.1, which may have no name.
		{"dfs.namenode.datanode.registration.ip-hostname-check", "false"},
		// After a restart safe mode ends as soon as the blocks are reported.
		{"dfs.namenode.safemode.extension", "0"},
	}...), c.own...)
}

// logging: to the standard output, which is the daemon's log, without the
// thousand lines that a DataNode writes of each folder, and without its requests.
const logging = `log4j.rootLogger=INFO,out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.org.apache.hadoop.hdfs.server.datanode.fsdataset=WARN
log4j.logger.http.requests=WARN
`

// configure writes what the daemons read. The servers don't start without their
// folders of web pages, which may be empty.
func (c *Cluster) configure() error {
	for _, folder := range []string{"log", "tmp", "conf/webapps/hdfs", "conf/webapps/datanode", "conf/webapps/journal"} {
		if err := os.MkdirAll(c.path(folder), 0o700); err != nil {
			return err
		}
	}
	files := map[string][]property{"core-site.xml": c.coreSettings(), "hdfs-site.xml": c.hdfsSettings()}
	for name, properties := range files {
		text, err := xml.MarshalIndent(struct {
			XMLName    xml.Name   `xml:"configuration"`
			Properties []property `xml:"property"`
		}{Properties: properties}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.path("conf", name), append(text, '\n'), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(c.path("conf", "log4j.properties"), []byte(logging), 0o600)
}

// path is inside of the cluster's folder.
func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.cfg.Folder}, elements...)...)
}
