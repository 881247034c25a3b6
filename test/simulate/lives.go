package simulate

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

const (
	// A topic comes and goes under one name so many times, beside the one that stays.
	// In each life it gets so many batches before it has more partitions, and after.
	lives       = 2
	lifeName    = "comes-and-goes"
	lifeBatches = 8
	// lifeProducer is the first number of their producers.
	lifeProducer = 100
	// maxTopics is the limit that all who make topics keep.
	maxTopics = 2
	// changeTime is how long a change is tried through one host.
	changeTime = 5 * time.Second
)

// live makes a topic through any host, uses it, alters and deletes it, again and
// again: all of that happens once, whatever becomes of the calls, and nothing of one
// life is left in the next.
func (w *world) live(ctx context.Context) {
	for life := range lives {
		s := w.create(ctx, life)
		for ; s == nil; s = w.create(ctx, life) {
			if w.over() {
				return
			}
			sleep(retryAfter) // a host that has not heard of the last deletion counts that topic
		}
		p := w.newProducer(s, lifeProducer+life)
		if !p.run(ctx, lifeBatches, s.topic.Partitions) {
			return
		}
		w.alter(ctx, s)
		if !p.run(ctx, lifeBatches, s.topic.Partitions) {
			return
		}
		w.readAll(ctx, s)
		w.delete(ctx, s)
	}
}

// create has two topics made at once, of which there is room for one: no more are
// made. They share the name, or not.
func (w *world) create(ctx context.Context, life int) *subject {
	names := [2]talos.TopicName{lifeName, lifeName}
	if w.int(2) == 0 {
		names[1] = "too-many"
	}
	var made [2]*subject
	var asking sync.WaitGroup
	for i, name := range names {
		s := newSubject(name, byte(2*life+i), 2)
		asking.Go(func() {
			err := w.change(func(ctx context.Context, meta *coordinator.Meta) error {
				may := func() error {
					if topics, _ := meta.View().Count(); topics >= maxTopics {
						return talos.LimitReached
					}
					return nil
				}
				if w.mutant != CountsBefore {
					return meta.CreateTopic(ctx, s.topic, may)
				}
				if err := may(); err != nil {
					return err
				}
				return meta.CreateTopic(ctx, s.topic, nil)
			})
			switch {
			case err == nil:
				made[i] = s
				w.count("topic created")
			case errors.Is(err, talos.TopicExists), errors.Is(err, talos.LimitReached):
			case !w.over():
				w.anomaly("topics", "%s can't be created: %v", name, err)
			}
		})
	}
	asking.Wait()
	topics, err := w.admin.Topics(ctx)
	if made[0] != nil && made[1] != nil || err != nil || len(topics) > maxTopics {
		w.anomaly("topics", "two were made where there is room for one: %v, %v", topics, err)
	}
	return cmp.Or(made[0], made[1])
}

// alter changes two things of a topic at once, through two hosts: both count.
func (w *world) alter(ctx context.Context, s *subject) {
	want := s.topic
	want.Partitions, want.Config.RetentionMillis = 3, time.Hour.Milliseconds()
	changes := []func(*talos.Topic){
		func(t *talos.Topic) { t.Partitions = want.Partitions },
		func(t *talos.Topic) { t.Config.RetentionMillis = want.Config.RetentionMillis },
	}
	var asking sync.WaitGroup
	for _, change := range changes {
		asking.Go(func() {
			err := w.change(func(ctx context.Context, meta *coordinator.Meta) error {
				_, err := meta.AlterTopic(ctx, s.topic.Name, func(now talos.Topic) (talos.Topic, error) {
					change(&now)
					return now, nil
				})
				return err
			})
			if err != nil && !w.over() {
				w.anomaly("topics", "%s can't be altered: %v", s.topic.Name, err)
			}
		})
	}
	asking.Wait()
	now, err := w.admin.Topic(ctx, s.topic.Name)
	if (now != want || err != nil) && !w.over() {
		w.anomaly("topics", "after two changes, %v became %v, %v", s.topic, now, err)
	}
	w.count("topic altered")
	s.topic = want
}

// delete deletes a topic. From then on nobody can open a partition of it.
func (w *world) delete(ctx context.Context, s *subject) {
	err := w.change(func(ctx context.Context, meta *coordinator.Meta) error {
		_, err := meta.DeleteTopic(ctx, s.topic.Name)
		if errors.Is(err, talos.UnknownTopic) {
			return nil // an attempt before did it
		}
		return err
	})
	if err != nil {
		if !w.over() {
			w.anomaly("topics", "%s can't be deleted: %v", s.topic.Name, err)
		}
		return
	}
	w.count("topic deleted")
	for _, id := range w.ids() {
		meta := w.host(id).opener()
		if meta == nil {
			continue
		}
		if _, err := meta.Record(s.id(0)).Raise(ctx); err == nil {
			w.anomaly("topics", "%s has opened a partition of %s, which is deleted", id, s.topic.Name)
		}
	}
}

// change makes a change through any host until it is answered for sure. It fails
// when the simulation is over.
func (w *world) change(f func(context.Context, *coordinator.Meta) error) error {
	for {
		err := error(talos.MetaUnavailable)
		ids := w.ids()
		if meta := w.host(ids[w.int(len(ids))]).opener(); meta != nil {
			ctx, cancel := context.WithTimeout(context.Background(), changeTime)
			err = f(ctx, meta)
			cancel()
		}
		switch talos.KindOf(err) {
		case talos.MetaUnavailable, talos.Timeout, talos.Canceled, talos.Internal:
			if err == nil || w.over() {
				return err
			}
			sleep(retryAfter)
		default:
			return err
		}
	}
}
