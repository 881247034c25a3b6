// Package coordinator holds what the nodes agree on: the cluster's identity, who
// is a member, the topics, who owns which partition, and one record per partition.
// Its logic is written once, in Meta, above the small interface KV; coordinator/etcd
// and coordinator/mem are its drivers, and coordinator/embedded runs an etcd within
// the process.
//
// It is not the log (package partition, which sees a partition's record through
// an interface of its own), holds no data of topics, and serves nobody: that is
// talos/server.
//
// # Keys
//
// All values are JSON. Nothing is written per record, batch or commit.
//
//	/talos/v1/
//	  cluster                      {id, producer_bits}        first Open of the cluster, then never
//	  view/                        all that nodes watch, each with one watch
//	    nodes/<node id>            {id, address, …, unfit?}   Register; bound to the node's session
//	    scheduler                  {id, run}                  Schedule: the election; bound to a session
//	    topics/<name>              name, id, partitions, …    CreateTopic; DeleteTopic removes it
//	    assignments/<topic id>     {nodes, owners, next}      the scheduler, and Release by an owner
//	    leaving/<node id>          {kind, until?, …}          an operator's mark, or the node's as it ends
//	    pins/<topic id>            {partition: node}          an operator's pins
//	    loads/<node id>            {bytes_per_s, …}           ReportLoad; bound to the node's session
//	  ids/<topic id>               {name}                     with topics/<name>, always
//	  records/<topic id>/<number>  {epoch, tail, start}       Raise (a partition is opened), Swap (it
//	                                                          rolls a segment, or is trimmed),
//	                                                          Replace (an operator rebuilds it)
//	  deleted/<topic id>           as topics/<name> was       DeleteTopic; Forget removes it
//	  producer-block               {last}                     once per 65,536 producer ids; Replace
//
// View is what a node has of view/ in memory, for readers that never wait.
//
// # Transactions
//
// Each change names the revisions that it rests on, and is one transaction:
//
//	Register     nodes/ is absent, or of the same node id       ─► nodes/; its mark goes,
//	                                                            but for an operator's drain
//	CreateTopic  topics/, ids/, deleted/ absent, all of topics/
//	             as the view has it (the limits count it)       ─► topics/, ids/
//	AlterTopic   topics/ unchanged; for more partitions, all
//	             of topics/ as the view has it                  ─► topics/
//	DeleteTopic  topics/ unchanged                              ─► deleted/; topics/, ids/, assignments/,
//	                                                               pins/, records/…/ go
//	scheduler    scheduler is of this very registration,
//	             topics/ and assignments/ unchanged             ─► assignments/
//	Release      nodes/ is this very registration, this node
//	             the owner, assignments/ unchanged              ─► assignments/: owner := next
//	Raise        nodes/ is this very registration, this node
//	             the owner by assignments/, unchanged, ids/ is
//	             there, the record unchanged (or absent)        ─► record, epoch + 1
//	Swap         the record unchanged, equal to old             ─► record
//	Replace      as Raise, and the record equal to old          ─► record, producer-block
//
// A transaction whose condition did not hold is prepared again from a new read.
// One whose outcome is unknown is not: its caller is told (MetaUnavailable).
// Every method that changes something may then simply be called again, except
// Swap: raise the epoch first.
//
// # Ownership of one partition
//
//	owner  next
//	 A      -     A serves
//	 A      B     A closes it, and then makes B the owner itself (Release)
//	 B      -     B opens it
//
// If A is gone, or does not hand over in time, the scheduler makes B the owner; while
// A is away under a restart mark, it waits. An assignment decides who should serve,
// never who may acknowledge: that is the epoch. So a node may learn late that it
// lost a partition; it can raise no epoch any more, and the store stops its segments
// when the next owner recovers them.
package coordinator
