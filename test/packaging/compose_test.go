package packaging_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// composeFile is what docker-compose.yml says, with its merges carried out.
type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
}

type composeService struct {
	Image string `yaml:"image"`
	Build struct {
		Context    string `yaml:"context"`
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"build"`
	Profiles    []string       `yaml:"profiles"`
	Volumes     []string       `yaml:"volumes"`
	Ports       []string       `yaml:"ports"`
	DependsOn   map[string]any `yaml:"depends_on"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	var file composeFile
	require.NoError(t, yaml.Unmarshal(text, &file))
	return file
}

func TestComposeRunsAClusterOnEachStore(t *testing.T) {
	file := readCompose(t)
	in := make(map[string][]string)
	for name, s := range file.Services {
		profile := strings.Join(s.Profiles, " ")
		in[profile] = append(in[profile], name)
	}
	require.ElementsMatch(t, []string{"etcd", "node-1", "node-2", "node-3"}, in[""])
	require.ElementsMatch(t, []string{"namenode", "datanode-1", "datanode-2", "datanode-3"}, in["hdfs"])
	require.ElementsMatch(t, []string{"minio"}, in["minio"])
	require.Len(t, in, 3)

	environment := read(t, ".env")
	require.Contains(t, environment, "\nCOMPOSE_PROFILES=hdfs\n", "what runs unless another one is asked for")
	for profile := range in {
		if profile != "" {
			require.FileExists(t, filepath.Join(root, "packaging", "compose", profile+".yaml"))
		}
	}
}

func TestEachServiceOfComposeIsOursAndChecked(t *testing.T) {
	file := readCompose(t)
	used := make(map[string]bool)
	for name, s := range file.Services {
		require.Equal(t, ".", s.Build.Context, name)
		require.FileExists(t, filepath.Join(root, s.Build.Dockerfile), name)
		require.Equal(t, imageOf(s.Build.Dockerfile), s.Image, name)
		require.NotEmpty(t, s.Healthcheck.Test, name)
		require.Equal(t, "CMD", s.Healthcheck.Test[0], "%s: a shell may be missing", name)
		for _, v := range s.Volumes {
			if from, _, _ := strings.Cut(v, ":"); !strings.HasPrefix(from, ".") {
				require.Contains(t, file.Volumes, from, name)
				require.False(t, used[from], "%s shares volume %s", name, from)
				used[from] = true
			}
		}
		require.Equal(t, !strings.HasPrefix(name, "node-"), len(s.Volumes) == 1 && used[name], "%s: who keeps data has a volume of its name", name)
		for _, p := range s.Ports {
			require.True(t, strings.HasPrefix(p, "127.0.0.1:"), "%s: there is no access control, only loopback", name)
		}
		for other := range s.DependsOn {
			needed := file.Services[other]
			require.True(t, len(needed.Profiles) == 0 || len(s.Profiles) > 0, "%s needs %s, which not every profile has", name, other)
		}
	}
	require.Len(t, used, len(file.Volumes))
}

// imageOf is talos for Dockerfile, and talos-NAME for NAME.Dockerfile.
func imageOf(dockerfile string) string {
	name, _, _ := strings.Cut(filepath.Base(dockerfile), ".Dockerfile")
	if name == "Dockerfile" {
		return "talos"
	}
	return "talos-" + name
}

// Base images alone are pulled, Go's in the version of go.mod, and no Dockerfile says a
// version that go.mod or tools/ pins: each takes the file where it stands.
func TestImagesAreOfThePinnedVersions(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	require.Len(t, version, 2)
	base := []string{"golang:" + version[1], "debian:bookworm-slim", "scratch"}
	for file, pins := range map[string][]string{
		"Dockerfile":       {"go.mod", "go.sum"},
		"etcd.Dockerfile":  {"tools/etcd/go.mod", "tools/etcd/go.sum"},
		"minio.Dockerfile": {"tools/minio/go.mod", "tools/minio/go.sum", "tools/minio/install.sh"},
		"hdfs.Dockerfile":  {"tools/hadoop/pom.xml"},
	} {
		text := read(t, filepath.Join("packaging", file))
		froms := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(text, -1)
		require.Len(t, froms, 2, file)
		for _, from := range froms {
			require.Contains(t, base, from[1], file)
		}
		var copied []string
		for _, line := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(text, -1) {
			copied = append(copied, strings.Fields(line[1])...)
		}
		require.Subset(t, copied, pins, file)
		require.NotRegexp(t, `(@v|\bv|-)\d+\.\d+\.\d+`, regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(text, ""), file)
	}
}

// What operators are told to set in HDFS is set in its image.
func TestTheImageOfHDFSHasTheSettingsOfTheDocumentation(t *testing.T) {
	settings := read(t, "packaging/hdfs/core-site.xml") + read(t, "packaging/hdfs/hdfs-site.xml")
	told := regexp.MustCompile("`((?:dfs|ipc)\\.[a-z.]+)` = (\\d+)").FindAllStringSubmatch(read(t, "docs/hdfs.md"), -1)
	require.Len(t, told, 6)
	for _, s := range told {
		require.Contains(t, settings, "<name>"+s[1]+"</name><value>"+s[2]+"</value>")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}
