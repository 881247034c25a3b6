package hdfs

import (
	"net/url"
	"testing"

	"github.com/colinmarc/hdfs/v2/hadoopconf"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
)

func TestTheURL(t *testing.T) {
	pair := hadoopconf.HadoopConf{
		"fs.defaultFS":                          "hdfs://prod",
		"dfs.ha.namenodes.prod":                 "nn1, nn2",
		"dfs.namenode.rpc-address.prod.nn1":     "one:8020",
		"dfs.namenode.rpc-address.prod.nn2":     "two:8020",
		"dfs.ha.namenodes.half":                 "nn1",
		"dfs.client.use.datanode.hostname":      "true",
		"dfs.client.failover.proxy.provider.no": "ignored",
	}
	for name, c := range map[string]struct {
		url   string
		conf  hadoopconf.HadoopConf
		env   string
		want  config
		fails string
	}{
		"a NameNode and a folder": {
			url: "hdfs://nn:9000/talos", env: "ada",
			want: config{namenodes: []string{"nn:9000"}, root: "/talos", user: "ada", replication: 3, minReplicas: 2},
		},
		"the port is 8020 unless it is given": {
			url: "hdfs://nn/a/b/", env: "ada",
			want: config{namenodes: []string{"nn:8020"}, root: "/a/b", user: "ada", replication: 3, minReplicas: 2},
		},
		"the user in the URL comes before the environment's": {
			url: "hdfs://grace@nn/t", env: "ada",
			want: config{namenodes: []string{"nn:8020"}, root: "/t", user: "grace", replication: 3, minReplicas: 2},
		},
		"an address of IPv6": {
			url: "hdfs://[::1]:9000/t", env: "ada",
			want: config{namenodes: []string{"[::1]:9000"}, root: "/t", user: "ada", replication: 3, minReplicas: 2},
		},
		"settings": {
			url: "hdfs://nn/t?replication=5&min-replicas=3&open-segments=50", env: "ada",
			want: config{namenodes: []string{"nn:8020"}, root: "/t", user: "ada", replication: 5, minReplicas: 3, openSegments: 50},
		},
		"small blocks": {
			url: "hdfs://nn/t?block-mib=48", env: "ada",
			want: config{namenodes: []string{"nn:8020"}, root: "/t", user: "ada", replication: 3, minReplicas: 2, blockBytes: 48 << 20},
		},
		"one replica, for a trial": {
			url: "hdfs://nn/t?replication=1", env: "ada",
			want: config{namenodes: []string{"nn:8020"}, root: "/t", user: "ada", replication: 1, minReplicas: 1},
		},
		"a pair of NameNodes by its name": {
			url: "hdfs://prod/t", conf: pair, env: "ada",
			want: config{namenodes: []string{"one:8020", "two:8020"}, root: "/t", user: "ada", replication: 3, minReplicas: 2, useHostname: true},
		},
		"the cluster of the configuration": {
			url: "hdfs:///t", conf: pair, env: "ada",
			want: config{namenodes: []string{"one:8020", "two:8020"}, root: "/t", user: "ada", replication: 3, minReplicas: 2, useHostname: true},
		},
		"no NameNode at all":           {url: "hdfs:///t", fails: "it names no NameNode"},
		"a pair without addresses":     {url: "hdfs://half/t", conf: pair, fails: "has no dfs.namenode.rpc-address.half.nn1"},
		"an unknown setting":           {url: "hdfs://nn/t?replicas=3", fails: `there is no setting "replicas": it takes replication, min-replicas, open-segments and block-mib`},
		"a setting that is no number":  {url: "hdfs://nn/t?replication=many", fails: "replication=many: it takes a whole number"},
		"blocks too small for a frame": {url: "hdfs://nn/t?block-mib=31", fails: "block-mib=31: it is from 32 to 2048"},
		"zero replicas":                {url: "hdfs://nn/t?replication=0", fails: "a whole number from 1 on"},
		"more at least than wanted":    {url: "hdfs://nn/t?replication=2&min-replicas=3", fails: "min-replicas=3 is more than replication=2"},
		"another scheme":               {url: "s3://nn/t", fails: "an HDFS store is written hdfs://host:port/path"},
		"a cluster that asks Kerberos": {url: "hdfs://nn/t", conf: hadoopconf.HadoopConf{"hadoop.security.authentication": "kerberos"}, fails: "Kerberos, which Talos does not offer yet"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(c.url)
			require.NoError(t, err)
			got, err := configOf(u, c.conf, func(string) string { return c.env })
			if c.fails != "" {
				require.ErrorIs(t, err, talos.InvalidConfig)
				require.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			if c.want.blockBytes == 0 {
				c.want.blockBytes = 288 << 20
			}
			if c.want.openSegments == 0 {
				c.want.openSegments = defaultOpenSegments
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestTheUserIsWhoRunsTheProcessIfNobodyElseIsNamed(t *testing.T) {
	u, err := url.Parse("hdfs://nn/t")
	require.NoError(t, err)
	got, err := configOf(u, nil, func(string) string { return "" })
	require.NoError(t, err)
	require.NotEmpty(t, got.user)
}
