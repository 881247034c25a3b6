// Package coordinator holds what the nodes agree on: the cluster's identity,
// who is active, the topics, and one record per partition. Its logic is written
// once, in Meta, above the small interface KV; coordinator/etcd and
// coordinator/mem are its drivers, and coordinator/embedded runs an etcd within
// the process.
//
// It is not the log (package partition, which sees a partition's record through
// an interface of its own), holds no data of topics, and serves nobody: that is
// talos/server. One node is active at a time; the others wait for it to end.
//
// # Keys
//
// All values are JSON. Nothing is written per record, batch or commit.
//
//	/talos/v1/
//	  cluster                      {id, producer_bits}        first Open of the cluster, then never
//	  active                       {id, address} of a node    Claim; bound to the claimer's session
//	  topics/<name>                name, id, partitions, …    CreateTopic; DeleteTopic removes it
//	  ids/<topic id>               {name}                     with topics/<name>, always
//	  records/<topic id>/<number>  {epoch, tail, start}       Raise (a partition is opened), Swap (it
//	                                                          rolls a segment, or is trimmed),
//	                                                          Replace (an operator rebuilds it)
//	  deleted/<topic id>           as topics/<name> was       DeleteTopic; Forget removes it
//	  producer-block               {last}                     once per 65,536 producer ids; Replace
//
// # Transactions
//
// Each change names the revisions that it rests on, and is one transaction:
//
//	Claim        active is absent, or held by the same node id  ─► active
//	CreateTopic  topics/, ids/, deleted/ absent                 ─► topics/, ids/
//	DeleteTopic  topics/ unchanged                              ─► deleted/; topics/, ids/, records/…/ go
//	Raise        active is this very claim, ids/ is there,
//	             the record unchanged (or absent)               ─► record, epoch + 1
//	Swap         the record unchanged, equal to old             ─► record
//	Replace      as Raise, and the record equal to old          ─► record, producer-block
//
// A transaction whose condition did not hold is prepared again from a new read.
// One whose outcome is unknown is not: its caller is told (MetaUnavailable).
// Every method that changes something may then simply be called again, except
// Swap: raise the epoch first.
//
// # The claim
//
// The active key decides who should serve, never who may acknowledge: that is
// the epoch. So a node may learn late that it lost its claim; it can raise no
// epoch any more, and the store stops its segments when the next owner recovers
// them.
package coordinator
