package hadoop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/talos-log/talos/test/process"
)

// java prepares a process that runs a class. The folder of the configuration is
// the end of the class path: an archive of classes holds for what is before it.
func (c *Cluster) java(classes, class string, args ...string) *exec.Cmd {
	all := []string{
		"-cp", c.installation.jars + string(filepath.ListSeparator) + c.path("conf"),
		"-XX:+UseSerialGC",
		"-XX:-UsePerfData",
		"-Djava.net.preferIPv4Stack=true",
		"-Djava.io.tmpdir=" + c.path("tmp"),
	}
	if c.cfg.Quick {
		all = append(all, "-Xmx256m", "-XX:TieredStopAtLevel=1")
	} else {
		all = append(all, "-Xmx512m")
	}
	if classes != "" {
		all = append(all, classes)
	}
	cmd := exec.Command(c.installation.java, append(append(all, class), args...)...)
	cmd.Env = environment()
	cmd.SysProcAttr = process.ChildAttributes()
	return cmd
}

// Program prepares a process that runs one file of Java source, with Hadoop's
// classes and the configuration of this cluster, and with what Java chooses by
// itself for this machine. Hadoop's log goes to its standard output. It needs a
// Java with a compiler.
func (c *Cluster) Program(source string, args ...string) *exec.Cmd {
	all := []string{
		"-cp", c.installation.jars + string(filepath.ListSeparator) + c.path("conf"),
		"-Djava.net.preferIPv4Stack=true",
		"-Djava.io.tmpdir=" + c.path("tmp"),
		source,
	}
	cmd := exec.Command(c.installation.java, append(all, args...)...)
	cmd.Env = environment()
	cmd.SysProcAttr = process.ChildAttributes()
	return cmd
}

// classes is what a kind of daemon is told of its archive of classes: to write
// it, or to use it. One that does not fit, as of another Java, is not used.
func (c *Cluster) classes(kind string) string {
	if c.cfg.archive != "" {
		return "-XX:ArchiveClassesAtExit=" + filepath.Join(c.cfg.archive, kind+archiveExtension)
	}
	return c.installation.classes(kind)
}

// environment is ours without what would change what runs. Without the limit a
// process of many threads takes memory that it does not need.
func environment() []string {
	kept := []string{"MALLOC_ARENA_MAX=2"}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "HADOOP_") && name != "MALLOC_ARENA_MAX" && name != "CLASSPATH" {
			kept = append(kept, v)
		}
	}
	return kept
}
