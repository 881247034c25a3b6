package cli

import (
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/talos-log/talos/cmd/talos/internal/config"
	"github.com/talos-log/talos/cmd/talos/internal/node"
	"github.com/talos-log/talos/talos"
)

// nodeFlags are the flags of settings: see package config.
type nodeFlags struct {
	role config.Role
	file string
	// given are the values of the flags that the user gave.
	given map[string]string
}

// devGroups are the settings that talos dev has as well.
var devGroups = []string{"listen", "http", "insecure", "drain_timeout", "log_level", "tls", "access"}

func (f *nodeFlags) add(cmd *cobra.Command, role config.Role) {
	f.role, f.given = role, make(map[string]string)
	defaults := config.Defaults()
	for _, s := range config.Settings(&defaults) {
		group, _, _ := strings.Cut(s.Key, ".")
		if s.Flag == "" || role == config.Dev && !slices.Contains(devGroups, group) {
			continue
		}
		flag := cmd.Flags().VarPF(&settingFlag{setting: s, given: f.given, text: s.Text()}, s.Flag, "", s.Doc)
		if s.IsBool() {
			flag.NoOptDefVal = "true"
		}
	}
	if role == config.Server {
		cmd.Flags().StringVar(&f.file, "config", "",
			"`FILE` in YAML with settings (default the environment's "+config.FileEnv+"); environment and flags are above it")
	}
}

// settingFlag is the flag of one setting.
type settingFlag struct {
	setting config.Setting
	given   map[string]string
	text    string
}

// String implements pflag.Value.
func (f *settingFlag) String() string { return f.text }

// Set implements pflag.Value.
func (f *settingFlag) Set(text string) error {
	if err := f.setting.Check(text); err != nil {
		return err
	}
	if before, again := f.given[f.setting.Flag]; again && f.setting.IsList() {
		text = before + "," + text
	}
	f.text, f.given[f.setting.Flag] = text, text
	return nil
}

// Type implements pflag.Value: what help texts call the value.
func (f *settingFlag) Type() string {
	if f.setting.IsBool() {
		return "bool"
	}
	return f.setting.Arg
}

// read returns the effective configuration, or all of its faults.
func (f *nodeFlags) read() (*config.Loaded, error) {
	layers := config.Layers{Flags: f.given}
	if f.role == config.Server {
		layers.Environ = os.Environ()
		if layers.File = f.file; layers.File == "" {
			layers.File = os.Getenv(config.FileEnv)
		}
	}
	return config.Read(layers, f.role)
}

// node returns what the configuration says of the node, but for its backing.
func (f *nodeFlags) node(p program, words io.Writer) (node.Config, *config.Loaded, error) {
	c, err := f.read()
	if err != nil {
		return node.Config{}, nil, err
	}
	logger := slog.New(slog.NewTextHandler(words, &slog.HandlerOptions{Level: c.LogLevel}))
	secure, err := c.ServerTLS(logger)
	if err != nil {
		return node.Config{}, nil, err
	}
	guard, err := c.Guard(logger)
	if err != nil {
		return node.Config{}, nil, err
	}
	peers, err := c.Peers()
	if err != nil {
		return node.Config{}, nil, err
	}
	if what := c.Exposed(); what != "" {
		logger.Warn("this node is not secured", "consequence", what, "listen", c.Listen, "http", c.HTTP)
	}
	return node.Config{
		Listen: c.Listen, HTTP: c.HTTP, Advertise: c.Advertise, ID: c.NodeID,
		Version: p.version, Logger: logger, TLS: secure, Access: guard, Peers: peers,
		Limits:   talos.Limits{RecordBytes: int(c.Limits.RecordBytes)},
		Capacity: c.Limits.Capacity(), Drain: c.DrainTimeout,
		Groups: c.GroupLimits(), GroupPartitions: int32(c.Groups.Coordinators),
	}, c, nil
}
