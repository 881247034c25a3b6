package sdk

// cohort is the records that were taken between two calls of Flush.
type cohort struct {
	pending int
	err     error // the first of theirs
	flush   *flush
}

// cohorts are those that are not flushed yet, oldest first; the last one is open.
// The pipeline owns them.
type cohorts []*cohort

func newCohorts() cohorts { return cohorts{&cohort{}} }

// open is the one that records join.
func (c cohorts) open() *cohort { return c[len(c)-1] }

// close ends the open cohort with a Flush that waits for it and all before.
func (c *cohorts) close(f *flush) {
	c.open().flush = f
	*c = append(*c, &cohort{})
}

// answer ends the calls of Flush that wait for nothing more.
func (c *cohorts) answer() {
	for len(*c) > 1 && (*c)[0].pending == 0 {
		first, next := (*c)[0], (*c)[1]
		*c = (*c)[1:]
		if first.flush.ctx.Err() != nil {
			// Nobody hears the error: the next Flush tells it.
			if next.err == nil {
				next.err = first.err
			}
			continue
		}
		first.flush.done <- first.err
	}
}
