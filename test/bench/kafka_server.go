package bench

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/test/process"
)

// kafkaVersion is the release that runs, as tools/kafka/pom.xml pins it.
const kafkaVersion = "4.1.2"

// kafkaCluster is one broker, or three, each of which is a controller as well.
type kafkaCluster struct {
	brokers  []*process.Child
	seeds    []string
	replicas int16
	// flush makes each message be synced before it is acknowledged.
	flush bool
	admin *kadm.Client
}

// startKafka runs brokers. With flush, a topic has flush.messages=1; else, as is the
// default, a record is acknowledged when it is in the page cache of all in-sync
// replicas.
func startKafka(ctx context.Context, folder string, brokers int, flush bool) (*kafkaCluster, error) {
	java, jars, err := kafkaInstallation()
	if err != nil {
		return nil, err
	}
	k := &kafkaCluster{replicas: int16(brokers), flush: flush}
	settings, err := k.settings(folder, brokers)
	if err != nil {
		return nil, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	cluster := base64.RawURLEncoding.EncodeToString(id[:])
	var formatting errgroup.Group
	for _, file := range settings {
		formatting.Go(func() error {
			cmd := exec.CommandContext(ctx, java, "-cp", jars, "kafka.tools.StorageTool", "format", "--cluster-id="+cluster, "--config", file)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("format Kafka's storage: %w\n%s", err, out)
			}
			return nil
		})
	}
	if err := formatting.Wait(); err != nil {
		return nil, err
	}
	for _, file := range settings {
		// What bin/kafka-server-start.sh of the release sets.
		child, err := launch(exec.Command(
			java, "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
			"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
			"-Djava.awt.headless=true", "-cp", jars, "kafka.Kafka", file,
		), file+".log")
		if err != nil {
			return nil, errors.Join(err, k.stop())
		}
		k.brokers = append(k.brokers, child)
	}
	if err := k.await(ctx, settings); err != nil {
		return nil, errors.Join(err, k.stop())
	}
	return k, nil
}

// kafkaInstallation is what tools/kafka/install.sh has installed.
func kafkaInstallation() (java, jars string, err error) {
	root, err := process.Root()
	if err != nil {
		return "", "", err
	}
	all, err := filepath.Glob(filepath.Join(root, ".bin", "kafka", kafkaVersion, "lib", "*.jar"))
	if err != nil {
		return "", "", err
	}
	if len(all) == 0 {
		return "", "", errors.New("no Kafka in .bin: run tools/kafka/install.sh")
	}
	java, err = exec.LookPath("java")
	slices.Sort(all)
	return java, strings.Join(all, ":"), err
}

// settings writes each broker's file. What is not named is Kafka's default.
func (k *kafkaCluster) settings(folder string, brokers int) (files []string, err error) {
	var controllers, voters []string
	for i := range brokers {
		broker, err := process.FreeAddress()
		if err != nil {
			return nil, err
		}
		controller, err := process.FreeAddress()
		if err != nil {
			return nil, err
		}
		k.seeds = append(k.seeds, broker)
		controllers = append(controllers, controller)
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, controller))
	}
	for i := range brokers {
		text := fmt.Sprintf(`process.roles=broker,controller
node.id=%d
controller.quorum.voters=%s
listeners=PLAINTEXT://%s,CONTROLLER://%s
controller.listener.names=CONTROLLER
log.dirs=%s
offsets.topic.replication.factor=1
log.segment.delete.delay.ms=1000
auto.create.topics.enable=false
`, i+1, strings.Join(voters, ","), k.seeds[i], controllers[i], filepath.Join(folder, fmt.Sprintf("kafka-%d", i+1)))
		file := filepath.Join(folder, fmt.Sprintf("kafka-%d.properties", i+1))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// await waits until all brokers serve, and know each other.
func (k *kafkaCluster) await(ctx context.Context, settings []string) error {
	for i, child := range k.brokers {
		err := await(ctx, child, settings[i]+".log", func(ctx context.Context) error {
			admin, err := kafkaAdmin(k.seeds[i])
			if err != nil {
				return err
			}
			defer admin.Close()
			found, err := admin.ListBrokers(ctx)
			if err == nil && len(found) < len(k.seeds) {
				err = fmt.Errorf("%d brokers of %d", len(found), len(k.seeds))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("broker %d of Kafka: %w", i+1, err)
		}
	}
	var err error
	k.admin, err = kafkaAdmin(k.seeds...)
	return err
}

func kafkaAdmin(seeds ...string) (*kadm.Client, error) {
	return kadm.NewOptClient(kgo.SeedBrokers(seeds...), kgo.DisableClientMetrics())
}

func (k *kafkaCluster) processes() (pids []int) {
	for _, b := range k.brokers {
		pids = append(pids, b.PID())
	}
	return pids
}

func (k *kafkaCluster) stop() error {
	if k.admin != nil {
		k.admin.Close()
	}
	// A broker that is told to end first waits for others to take its partitions; all
	// of it is thrown away.
	var errs []error
	for _, b := range k.brokers {
		errs = append(errs, b.End(syscall.SIGKILL, endTimeout))
	}
	return errors.Join(errs...)
}
