package schedule_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator/schedule"
	"github.com/talos-log/talos/talos"
)

// cluster is a State that tests change, and in which plans are carried out.
type cluster struct {
	state  schedule.State
	topics map[talos.TopicName]*schedule.Topic
	began  time.Time
}

func newCluster() *cluster {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &cluster{
		state: schedule.State{
			Now: began, Away: make(map[string]time.Time),
			Pins: make(map[talos.PartitionID]string), Loads: make(map[talos.PartitionID]float64),
		},
		topics: make(map[talos.TopicName]*schedule.Topic), began: began,
	}
}

// command carries one line of a script out, and returns what it prints:
//
//	join A…            nodes register               drain A, uncordon A
//	crash A            its registration ends        unfit A, fit A
//	restart A 60s      it goes away and is waited for
//	topic T N          a topic of N partitions (again: it has more)
//	pin T/3 A          unpin T/3
//	load T/3 BYTES     a second
//	wait 10s
//	plan               prints what is to be done, and does it
//	end                prints what would move if nothing else happened, and does nothing
//	handover N         the owners hand N partitions over (all, if there is no N)
//	settle             plans and handovers until nothing is left; prints how many steps
//	show               who owns what
func (c *cluster) command(t *testing.T, words []string) string {
	arg := func(i int) string {
		require.Greater(t, len(words), i, "%v", words)
		return words[i]
	}
	switch words[0] {
	case "join":
		for _, id := range words[1:] {
			c.join(id)
		}
	case "crash":
		c.leave(arg(1))
	case "restart":
		c.leave(arg(1))
		c.state.Away[arg(1)] = c.state.Now.Add(duration(t, arg(2)))
	case "drain", "uncordon":
		c.member(arg(1)).Draining = words[0] == "drain"
	case "unfit", "fit":
		c.member(arg(1)).Unfit = words[0] == "unfit"
	case "topic":
		c.topic(talos.TopicName(arg(1)), number(t, arg(2)))
	case "pin":
		c.state.Pins[c.id(t, arg(1))] = arg(2)
	case "unpin":
		delete(c.state.Pins, c.id(t, arg(1)))
	case "load":
		c.state.Loads[c.id(t, arg(1))] = float64(number(t, arg(2)))
	case "wait":
		c.state.Now = c.state.Now.Add(duration(t, arg(1)))
	case "plan":
		return c.print(c.plan())
	case "end":
		return c.print(schedule.Plan{Steps: schedule.End(c.current())})
	case "handover":
		n := 1 << 30
		if len(words) > 1 {
			n = number(t, arg(1))
		}
		c.handOver(n)
	case "settle":
		return fmt.Sprintf("%d steps\n", len(c.settle(t)))
	case "show":
		return c.show()
	default:
		require.Fail(t, "unknown command", "%v", words)
	}
	return ""
}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func duration(t *testing.T, text string) time.Duration {
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

func (c *cluster) join(id string) {
	delete(c.state.Away, id)
	c.state.Members = append(c.state.Members, schedule.Member{ID: id})
}

func (c *cluster) leave(id string) {
	c.state.Members = slices.DeleteFunc(c.state.Members, func(m schedule.Member) bool { return m.ID == id })
}

func (c *cluster) member(id string) *schedule.Member {
	i := slices.IndexFunc(c.state.Members, func(m schedule.Member) bool { return m.ID == id })
	return &c.state.Members[i]
}

func (c *cluster) lives(id string) bool {
	return slices.ContainsFunc(c.state.Members, func(m schedule.Member) bool { return m.ID == id })
}

func (c *cluster) topic(name talos.TopicName, partitions int) {
	t, ok := c.topics[name]
	if !ok {
		t = &schedule.Topic{Name: name, Next: make(map[int32]schedule.Handover)}
		copy(t.ID[:], name)
		c.topics[name] = t
	}
	t.Partitions = int32(partitions) //nolint:gosec // small
	for len(t.Owners) < partitions {
		t.Owners = append(t.Owners, "")
	}
}

func (c *cluster) id(t *testing.T, text string) talos.PartitionID {
	name, n, found := strings.Cut(text, "/")
	require.True(t, found, text)
	topic, ok := c.topics[talos.TopicName(name)]
	require.True(t, ok, text)
	return talos.PartitionID{Topic: topic.ID, Number: int32(number(t, n))} //nolint:gosec // small
}

func (c *cluster) topicOf(id talos.TopicID) *schedule.Topic {
	for _, t := range c.topics {
		if t.ID == id {
			return t
		}
	}
	panic("no such topic")
}

// plan makes a plan and carries it out.
func (c *cluster) plan() schedule.Plan {
	plan := schedule.Next(c.current())
	for _, step := range plan.Steps {
		topic, n := c.topicOf(step.Partition.Topic), step.Partition.Number
		switch step.Kind {
		case schedule.Move:
			topic.Next[n] = schedule.Handover{To: step.To, Since: c.state.Now}
		case schedule.Cancel:
			delete(topic.Next, n)
		case schedule.Place, schedule.Force:
			topic.Owners[n] = step.To
			delete(topic.Next, n)
		}
		if step.ForLoad {
			c.state.LoadMoved = c.state.Now
		}
	}
	return plan
}

func (c *cluster) current() schedule.State {
	s := c.state
	s.Topics = nil
	for _, t := range c.topics {
		s.Topics = append(s.Topics, *t)
	}
	return s
}

func (c *cluster) names() []talos.TopicName { return slices.Sorted(maps.Keys(c.topics)) }

// handOver lets living owners hand up to n partitions over.
func (c *cluster) handOver(n int) (done int) {
	for _, name := range c.names() {
		t := c.topics[name]
		for _, number := range slices.Sorted(maps.Keys(t.Next)) {
			if done < n && c.lives(t.Owners[number]) {
				t.Owners[number] = t.Next[number].To
				delete(t.Next, number)
				done++
			}
		}
	}
	return done
}

// settle plans and hands over until there is nothing left to do.
func (c *cluster) settle(t require.TestingT) (all []schedule.Step) {
	for range 100_000 {
		steps := c.plan().Steps
		if len(steps) == 0 && c.handOver(1<<30) == 0 {
			return all
		}
		all = append(all, steps...)
	}
	require.Fail(t, "it does not come to rest")
	return nil
}

func (c *cluster) print(plan schedule.Plan) string {
	var out strings.Builder
	for _, s := range plan.Steps {
		topic := c.topicOf(s.Partition.Topic)
		fmt.Fprintf(&out, "%-6s %s/%d", s.Kind, topic.Name, s.Partition.Number)
		if s.From != "" {
			fmt.Fprintf(&out, " from %s", s.From)
		}
		fmt.Fprintf(&out, " to %s: %s\n", s.To, s.Reason)
	}
	if len(plan.Steps) == 0 {
		out.WriteString("nothing to do\n")
	}
	if !plan.At.IsZero() {
		fmt.Fprintf(&out, "look again in %v\n", plan.At.Sub(c.state.Now))
	}
	return out.String()
}

func (c *cluster) show() string {
	owned := make(map[string][]string)
	for _, m := range c.state.Members {
		owned[m.ID] = nil
	}
	for _, name := range c.names() {
		for n, owner := range c.topics[name].Owners {
			text := fmt.Sprintf("%s/%d", name, n)
			if next, ok := c.topics[name].Next[int32(n)]; ok { //nolint:gosec // small
				text += "→" + next.To
			}
			owned[owner] = append(owned[owner], text)
		}
	}
	var out strings.Builder
	for _, id := range slices.Sorted(maps.Keys(owned)) {
		fmt.Fprintf(&out, "%s %d: %s\n", id, len(owned[id]), strings.Join(owned[id], " "))
	}
	return out.String()
}
