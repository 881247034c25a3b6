package cli

import (
	"bufio"
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// consumeAsMember reads a topic as a member of a group until it is interrupted, or
// has printed what --max says. What is printed is committed.
func consumeAsMember(cmd *cobra.Command, s *settings, p consumePlan) error {
	client, err := s.dial()
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is under way that could fail
	setup, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	if _, err := client.Describe(setup, p.topic); err != nil {
		return err
	}
	member, err := client.NewGroup(setup, p.group, []talos.TopicName{p.topic}, sdk.GroupManualCommit(),
		sdk.GroupStart(p.from.start()), sdk.GroupInstance(p.instance), sdk.GroupClientID("talos consume"))
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), outputBuffer)
	c := &groupConsumption{member: member, plan: p, out: recordWriter{out: out, format: p.output, template: p.template}}
	ctx, stop := whileRead(cmd.Context(), cmd.OutOrStdout())
	defer stop()
	err = c.run(ctx)
	if ctx.Err() != nil && talos.KindOf(err) == talos.Canceled {
		err = nil // interrupted, or nobody reads: the user has seen enough
	}
	leaving, cancelLeaving := context.WithTimeout(context.WithoutCancel(cmd.Context()), s.timeout)
	defer cancelLeaving()
	return errors.Join(advise(err), member.Close(leaving))
}

// groupConsumption prints what a member is given.
type groupConsumption struct {
	member  *sdk.Group
	plan    consumePlan
	out     recordWriter
	printed int64
}

func (c *groupConsumption) run(ctx context.Context) error {
	for {
		messages, err := c.member.Poll(ctx)
		if err != nil {
			return err
		}
		if left := c.plan.max - c.printed; c.plan.max > 0 && int64(len(messages)) > left {
			messages = messages[:left]
		}
		for i := range messages {
			if err := c.out.write(&messages[i]); err != nil {
				return err
			}
		}
		if err := c.out.out.Flush(); err != nil {
			return err
		}
		c.printed += int64(len(messages))
		if err := c.commit(ctx, messages); err != nil || c.printed == c.plan.max {
			return err
		}
	}
}

// commit commits what is printed, also where the user has just interrupted.
func (c *groupConsumption) commit(ctx context.Context, messages []sdk.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.plan.commitTime)
	defer cancel()
	err := c.member.Commit(ctx, messages...)
	switch talos.KindOf(err) {
	case talos.FencedMember, talos.UnknownMember:
		return nil // another member prints it again; Poll joins anew
	default:
		return err
	}
}
