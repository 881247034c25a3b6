package node

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/certs"
)

// dialTime is how long the tests wait for an etcd that does not answer.
const dialTime = time.Second

// startEtcd runs an etcd with TLS, which asks for client certificates.
func startEtcd(t *testing.T, secure *transport.TLSInfo) (endpoint string) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.LogOutputs = t.TempDir(), "fatal", []string{embed.StdErrLogOutput}
	at := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.AdvertisePeerUrls, cfg.ListenPeerUrls = []url.URL{at}, nil
	if secure != nil {
		at.Scheme, cfg.ClientTLSInfo = "https", *secure
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{at}, []url.URL{at}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.TickMs, cfg.ElectionMs, cfg.EnableGRPCGateway = 10, 100, false
	server, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		server.Close()
		<-server.Server.StopNotify()
	})
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(patience):
		require.Fail(t, "etcd does not start")
	}
	return server.Clients[0].Addr().String()
}

// check opens a client of etcd, and asks.
func check(t *testing.T, cfg etcd.Config) error {
	t.Helper()
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = patience
	}
	kv, err := etcd.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, kv.Close()) }()
	return kv.Check(t.Context())
}

func TestAnEtcdThatCannotBeUsedIsToldInWords(t *testing.T) {
	members, clients := certs.NewAuthority(t), certs.NewAuthority(t)
	pair := members.Issue(certs.Server("127.0.0.1"), certs.Client("etcd"))
	secured := startEtcd(t, &transport.TLSInfo{
		CertFile: pair.Certificate, KeyFile: pair.Key, TrustedCAFile: clients.File(), ClientCertAuth: true,
	})
	open := startEtcd(t, nil)
	good := members.Config(clients.Issue(certs.Client("talos")))
	for name, test := range map[string]struct {
		cfg   etcd.Config
		kind  talos.Kind
		words string
	}{
		"TLS, as it should be":     {etcd.Config{Endpoints: []string{secured}, TLS: good}, "", ""},
		"no TLS, as it should be":  {etcd.Config{Endpoints: []string{open}}, "", ""},
		"nobody there":             {etcd.Config{Endpoints: []string{"127.0.0.1:1"}}, talos.MetaUnavailable, "127.0.0.1:1 can't be reached"},
		"one of two is not there":  {etcd.Config{Endpoints: []string{"127.0.0.1:1", open}}, "", ""},
		"it wants TLS":             {etcd.Config{Endpoints: []string{secured}}, talos.MetaUnavailable, "speaks TLS; set etcd.tls.ca"},
		"it has none":              {etcd.Config{Endpoints: []string{open}, TLS: good}, talos.MetaUnavailable, "no TLS with " + open},
		"another authority":        {etcd.Config{Endpoints: []string{secured}, TLS: clients.Config()}, talos.MetaUnavailable, "unknown authority"},
		"no certificate":           {etcd.Config{Endpoints: []string{secured}, TLS: members.Config()}, talos.MetaUnavailable, "does not take our certificate"},
		"a certificate of another": {etcd.Config{Endpoints: []string{secured}, TLS: members.Config(members.Issue(certs.Client("talos")))}, talos.MetaUnavailable, "does not take our certificate"},
		"a user that it need not":  {etcd.Config{Endpoints: []string{open}, User: "talos", Password: "secret"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if test.kind != "" {
				test.cfg.DialTimeout = dialTime
			}
			err := check(t, test.cfg)
			if test.kind == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.kind)
			require.ErrorContains(t, err, test.words)
		})
	}
}

func TestEtcdsUsers(t *testing.T) {
	endpoint := startEtcd(t, nil)
	root, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer func() { require.NoError(t, root.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for user, role := range map[string]string{"root": "root", "talos": "team-a", "other": ""} {
		_, err := root.UserAdd(ctx, user, user+"-password")
		require.NoError(t, err)
		if role == "" {
			continue
		}
		_, err = root.RoleAdd(ctx, role)
		require.NoError(t, err)
		_, err = root.UserGrantRole(ctx, user, role)
		require.NoError(t, err)
	}
	_, err = root.RoleGrantPermission(ctx, "team-a", "/a/", clientv3.GetPrefixRangeEnd("/a/"), clientv3.PermissionType(clientv3.PermReadWrite))
	require.NoError(t, err)
	_, err = root.AuthEnable(ctx)
	require.NoError(t, err)

	try := func(user, password, prefix string) error {
		return check(t, etcd.Config{Endpoints: []string{endpoint}, User: user, Password: password, Prefix: prefix})
	}
	require.NoError(t, try("talos", "talos-password", "/a"))
	for name, test := range map[string]struct{ user, password, prefix, words string }{
		"a wrong password": {"talos", "sesame", "/a", "does not take the user or the password"},
		"an unknown user":  {"nobody", "sesame", "/a", "does not take the user or the password"},
		"no user":          {"", "", "/a", "etcd wants a user; set etcd.user"},
		"another's prefix": {"talos", "talos-password", "/b", "grant it read and write on the prefix /b/talos/"},
		"no rights at all": {"other", "other-password", "/a", "grant it read and write"},
	} {
		t.Run(name, func(t *testing.T) {
			err := try(test.user, test.password, test.prefix)
			require.ErrorIs(t, err, talos.InvalidConfig)
			require.ErrorContains(t, err, test.words)
			require.NotContains(t, err.Error(), "sesame")
		})
	}
	// The password serves the node's life, too: sessions, keep-alives and all.
	at, stop := start(t, Config{
		Backing: External("mem:", etcd.Config{Endpoints: []string{endpoint}, User: "talos", Password: "talos-password", Prefix: "/a"}),
		Listen:  "127.0.0.1:0",
	})
	require.NotEmpty(t, at.RPC)
	require.NoError(t, stop())
}
