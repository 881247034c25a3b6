package hdfs_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
)

// useless is the error of a store that can't be used: of Open, or, where that
// looks only, of the first List.
func useless(t *testing.T, store string, o hdfs.Options) error {
	t.Helper()
	// Less than a call is repeated for: the advice has to be there all the same.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	u, err := url.Parse(store)
	require.NoError(t, err)
	s, err := hdfs.Open(ctx, u, o)
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, s.Close()) }()
	require.True(t, o.ReadOnly, "it opened")
	_, err = s.List(ctx, "")
	return err
}

// requireUseless checks the error both ways.
func requireUseless(t *testing.T, store string, kind talos.Kind, words ...string) {
	t.Helper()
	for _, o := range []hdfs.Options{{}, {ReadOnly: true}} {
		err := useless(t, store, o)
		require.ErrorIs(t, err, kind)
		require.Equal(t, kind, talos.KindOf(err))
		for _, one := range words {
			require.ErrorContains(t, err, one)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	cluster := running(t)
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		address, err := process.FreeAddress()
		require.NoError(t, err)
		requireUseless(t, "hdfs://"+address+"/t", talos.StoreUnavailable, address, "no NameNode answers at", "its RPC port, usually 8020 or 9000")
	})
	t.Run("the NameNode's pages", func(t *testing.T) {
		t.Parallel()
		requireUseless(t, "hdfs://"+cluster.Pages()+"/t", talos.StoreUnavailable, cluster.Pages(), "is no NameNode: check the address (its RPC port, usually 8020 or 9000)")
	})
	t.Run("a server that wants Kerberos", func(t *testing.T) {
		t.Parallel()
		requireUseless(t, "hdfs://"+refusing(t)+"/t", talos.InvalidConfig, "Kerberos", "use one with simple authentication")
	})
	t.Run("a user without permission", func(t *testing.T) {
		t.Parallel()
		openStore(t, cluster.URL()+"/not-yours")
		root := strings.Replace(cluster.URL(), "hdfs://", "hdfs://stranger@", 1) + "/not-yours"
		err := useless(t, root, hdfs.Options{})
		require.ErrorIs(t, err, talos.StoreUnavailable)
		require.ErrorContains(t, err, `the user "stranger" may not do that: make the folder /not-yours and give it to this user (hdfs dfs -mkdir -p, hdfs dfs -chown), or set HADOOP_USER_NAME`)

		s, err := open(t, root, hdfs.Options{ReadOnly: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		_, err = s.Create(t.Context(), storage.ID{Folder: "a", Name: "b"}, []byte("head"), talos.Sync)
		require.ErrorIs(t, err, talos.StoreUnavailable)
		require.ErrorContains(t, err, `the user "stranger" may not do that`)
	})
}

func TestANameNodeInSafeModeIsNamed(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	g := create(t, s, root, "sealed", talos.Sync)
	require.NoError(t, g.appender.Seal(t.Context()))
	cluster.SafeMode(t, true)
	defer cluster.SafeMode(t, false)
	err := useless(t, root, hdfs.Options{})
	require.ErrorIs(t, err, talos.StoreUnavailable)
	require.ErrorContains(t, err, "the NameNode is in safe mode")
	require.ErrorContains(t, err, "hdfs dfsadmin -safemode get")

	look, err := open(t, root, hdfs.Options{ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, look.Close()) }()
	require.Equal(t, string(g.sent), string(contents(t, look, g.id)), "what is there can be read")
}

func TestAConfigurationThatAsksForKerberosIsRefused(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "core-site.xml"), []byte(`<configuration>
  <property><name>hadoop.security.authentication</name><value>kerberos</value></property>
</configuration>`), 0o600))
	t.Setenv("HADOOP_CONF_DIR", folder)
	requireUseless(t, "hdfs://127.0.0.1:8020/t", talos.InvalidConfig, "the Hadoop configuration asks for Kerberos", "use a cluster with simple authentication")
}

// refusing is the address of a server that refuses simple authentication, as a
// NameNode does whose cluster has Kerberos.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var h []byte
	field := func(n protowire.Number, v uint64) {
		h = protowire.AppendVarint(protowire.AppendTag(h, n, protowire.VarintType), v)
	}
	text := func(n protowire.Number, v string) {
		h = protowire.AppendString(protowire.AppendTag(h, n, protowire.BytesType), v)
	}
	field(1, uint64(^uint32(0)-2)) // callId -3: the connection's context
	field(2, 2)                    // status FATAL
	field(3, 9)                    // version
	text(4, "org.apache.hadoop.security.AccessControlException")
	text(5, "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]")
	field(6, 15) // FATAL_UNAUTHORIZED
	message := protowire.AppendBytes(nil, h)
	message = append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
	ended := inBackground(func() error {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return err
			}
			_, err = io.ReadFull(conn, make([]byte, 7))
			if err == nil {
				_, err = conn.Write(message)
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = errors.Join(err, tcp.CloseWrite())
			}
			_, _ = io.Copy(io.Discard, conn) // until the client has read it
			if err := errors.Join(err, conn.Close()); err != nil {
				return err
			}
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
	})
	return listener.Addr().String()
}
