package simulate

import (
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

// settle makes sure that, when nothing goes wrong anymore, every host is there and
// fit, and has its share, and that all know the same topics.
func (w *world) settle() {
	why := ""
	for began := time.Now(); time.Since(began) < patience; sleep(time.Second) {
		if why = w.unsettled(); why == "" {
			return
		}
	}
	w.anomaly("unsettled", "%v after the last fault, %s", patience, why)
}

// unsettled returns what is not as it should be, or nothing.
func (w *world) unsettled() string {
	view := w.admin.View()
	owned := make(map[string]int)
	sum := 0
	for _, topic := range view.Topics() {
		for n := range topic.Partitions {
			id := talos.PartitionID{Topic: topic.ID, Number: n}
			switch o := view.Owner(id); {
			case o.Next != "":
				return fmt.Sprintf("%v moves from %s to %s", id, o.Owner, o.Next)
			default:
				owned[o.Owner]++
				sum++
			}
		}
	}
	for _, id := range w.ids() {
		member, there := view.Member(id)
		_, marked := view.Leaving(id)
		switch {
		case !there:
			return id + " is not registered"
		case member.Unfit != nil:
			return id + " says that it is unfit"
		case marked:
			return id + " is marked"
		case owned[id] < sum/hosts || owned[id] > (sum+hosts-1)/hosts:
			return fmt.Sprintf("%s owns %d of %d partitions", id, owned[id], sum)
		}
		if meta := w.host(id).opener(); fmt.Sprint(meta.View().Topics()) != fmt.Sprint(view.Topics()) {
			return id + " knows other topics"
		}
	}
	return ""
}
