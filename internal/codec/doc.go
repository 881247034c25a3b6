// Package codec is how messages of talos.v1 get into gRPC's buffers and out of them:
// protobuf, as every client speaks it, with fewer copies of record batches, which
// are nearly all that goes over the wire.
//
//	sent      ProduceRequest = [ fields but the batch │ the batch itself ]
//	received  ProduceRequest, FetchResponse: one buffer, of which their batches are parts
//
// protobuf's own codec copies each batch once more on either side. And gRPC's pool
// of buffers clears a buffer of 1 MiB for each message above 32 KiB, since that is
// its next size; Pool has all sizes between, and clears nothing: whoever takes a
// buffer writes all of it.
package codec
