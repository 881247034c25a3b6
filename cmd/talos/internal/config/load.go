package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/talos-log/talos/cmd/talos/internal/stores"
)

// maxFileBytes bounds a configuration file.
const maxFileBytes = 1 << 20

// unset is the source of a value that no layer has.
const unset = "default"

// Layers are where values come from, besides the defaults.
type Layers struct {
	// File is the path of a YAML file; empty for none.
	File string
	// Environ is the environment, as os.Environ returns it.
	Environ []string
	// Flags are the values of the flags that were given, by the flags' names.
	Flags map[string]string
}

// Loaded is what the layers make together.
type Loaded struct {
	Config
	// sources say which layer each value is of, by key.
	sources map[string]string
	// unread says that there is a file that can't be read at all.
	unread bool
}

// Load reads the layers. The error is a *Faults that tells all of them; what
// could be read is returned all the same, so that Validate can tell the rest.
func Load(layers Layers) (*Loaded, error) {
	l := &Loaded{Config: Defaults(), sources: make(map[string]string)}
	r := reader{byKey: make(map[string]Setting), loaded: l}
	for _, s := range Settings(&l.Config) {
		r.byKey[s.Key] = s
		l.sources[s.Key] = unset
	}
	if layers.File != "" {
		r.readFile(layers.File)
	}
	r.readEnvironment(layers.Environ)
	for _, s := range Settings(&l.Config) {
		if text, given := layers.Flags[s.Flag]; given && s.Flag != "" {
			r.set(s, text, "flag --"+s.Flag, "--"+s.Flag)
		}
	}
	l.follow()
	return l, r.faults.orNil()
}

// follow lowers the limits that nobody has set to those that they are parts of.
func (l *Loaded) follow() {
	limits := &l.Limits
	if l.sources["limits.connections_per_address"] == unset && limits.Connections > 0 {
		limits.ConnectionsPerAddress = min(limits.ConnectionsPerAddress, limits.Connections)
	}
	if l.sources["limits.connection_answer_bytes"] == unset && limits.AnswerBytes > 0 {
		limits.ConnectionAnswerBytes = min(limits.ConnectionAnswerBytes, limits.AnswerBytes)
	}
}

// Read is Load and Validate, and tells the faults of both at once.
func Read(layers Layers, role Role) (*Loaded, error) {
	l, err := Load(layers)
	var all Faults
	validated := error(nil)
	if !l.unread { // what a file lacks that can't be read is no fault
		validated = l.Validate(role)
	}
	for _, err := range []error{err, validated} {
		var faults Faults
		if errors.As(err, &faults) {
			all = append(all, faults...)
		}
	}
	return l, all.orNil()
}

// reader gathers the faults of reading.
type reader struct {
	byKey  map[string]Setting
	loaded *Loaded
	faults Faults
}

func (r *reader) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf(format, args...))
}

// set sets a value of a layer; at is where it stands, for the fault.
func (r *reader) set(s Setting, text, source, at string) {
	if err := s.set(text); err != nil {
		if s.secret != "" {
			text = stores.Masked
		}
		r.fault("%s: %s is %q: %w", at, s.Key, text, err)
		return
	}
	r.loaded.sources[s.Key] = source
}

func (r *reader) readFile(path string) {
	root, err := parse(path)
	switch {
	case err != nil:
		r.loaded.unread = true
		r.faults = append(r.faults, err)
	case root != nil:
		r.readMapping(path, "", root)
	}
}

// parse returns the file's mapping; nil if it is empty.
func parse(path string) (*yaml.Node, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxFileBytes:
		return nil, fmt.Errorf("%s: a configuration file has up to %d bytes", path, maxFileBytes)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w (quote values that hold a colon and a space, or end in a colon)", path, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document, want one", path)
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want keys with values", path, root.Line)
	}
	return root, nil
}

// readMapping takes the keys below prefix.
func (r *reader) readMapping(path, prefix string, mapping *yaml.Node) {
	seen := make(map[string]int)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		name, value := mapping.Content[i], mapping.Content[i+1]
		key, at := prefix+name.Value, fmt.Sprintf("%s:%d", path, name.Line)
		if first := seen[key]; first != 0 {
			r.fault("%s: %s stands in line %d already", at, key, first)
			continue
		}
		seen[key] = name.Line
		s, known := r.byKey[key]
		switch {
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			r.fault("%s: %s: anchors and aliases are not taken, write the value out", at, key)
		case strings.Contains(name.Value, ".") && known:
			r.fault("%s: %s is a path: write it as nested keys", at, key)
		case known:
			r.readValue(s, value, at)
		case !r.isGroup(key):
			r.fault("%s: unknown key %s%s", at, key, r.near(key))
		case value.Kind == yaml.MappingNode:
			r.readMapping(path, key+".", value)
		case value.Tag != "!!null": // a group of comments alone is fine
			r.fault("%s: %s holds keys, not a value", at, key)
		}
	}
}

func (r *reader) readValue(s Setting, value *yaml.Node, at string) {
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		r.fault("%s: %s has no value; leave the key out, or write '' for an empty text", at, s.Key)
	case value.Kind == yaml.ScalarNode:
		r.set(s, value.Value, "file "+at, at)
	case value.Kind == yaml.SequenceNode && s.IsList():
		var parts []string
		for _, part := range value.Content {
			if part.Kind != yaml.ScalarNode {
				r.fault("%s: %s: want a list of texts", at, s.Key)
				return
			}
			parts = append(parts, part.Value)
		}
		r.set(s, strings.Join(parts, ","), "file "+at, at)
	default:
		r.fault("%s: %s wants a value (%s)", at, s.Key, s.kind())
	}
}

// isGroup tells whether there are keys below key.
func (r *reader) isGroup(key string) bool {
	for known := range r.byKey {
		if strings.HasPrefix(known, key+".") {
			return true
		}
	}
	return false
}

// kubernetes matches the variables that Kubernetes sets in every container
// beside services whose names are, or begin with, talos-server.
var kubernetes = regexp.MustCompile(`^TALOS_SERVER_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP).*)?)$`)

func (r *reader) readEnvironment(environ []string) {
	byName := make(map[string]Setting)
	for _, s := range r.byKey {
		byName[s.Env()] = s
	}
	for _, variable := range environ {
		name, text, _ := strings.Cut(variable, "=")
		s, known := byName[name]
		switch {
		case known:
			r.set(s, text, "env "+name, name)
		case strings.HasPrefix(name, envPrefix) && name != FileEnv && !kubernetes.MatchString(name):
			r.fault("%s: no setting is of this name; see docs/configuration.md", name)
		}
	}
}

// FileEnv is the variable that names the file when --config does not.
const FileEnv = envPrefix + "CONFIG"
