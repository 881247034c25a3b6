// Package namenode calls the NameNodes of one HDFS: a typed method for each call
// of ClientProtocol that Talos makes, errors by kind, and the renewal of leases.
// It is not a file system: what the calls add up to lies with package hdfs.
//
// Every call has one id for its whole life. It is sent again, under that id with
// a higher retry count, over new connections and to the other NameNodes, until
// one answers: the NameNodes' retry cache, or the nature of the call, makes the
// answer the same as if it had been sent once.
//
//	not sent, lost, timed out, StandbyException,
//	RetriableException of one not yet started     the next address
//	another RetriableException                    the same address
//	anything else                                 the answer
//
// Pauses grow from 50 ms to 2 s, at random; a call ends with ErrUnavailable after
// 20 s, or when its context does; after 2 s the log says what it waits for.
package namenode
