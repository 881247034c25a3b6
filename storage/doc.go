// Package storage is the contract of the stores that keep segments, with the
// errors and the identifiers that go with it.
//
// It is not a store itself (those are storage/mem, storage/local, storage/s3 and
// hdfs), does not know what is inside a segment (storage/segment does), and
// knows no offsets, epochs or chains (partition does).
//
// A segment has one writer in its life, and only grows:
//
//	            Create                    Seal
//	(nothing) ──────────► open ─────────────────────► sealed
//	                        │ append failed, Abandon,    ▲
//	                        │ Recover by anybody         │
//	                        ▼             Recover        │
//	                      broken ────────────────────────┘
//
// From every state, Remove leads back to nothing; a name is never used again.
// An append is acknowledged only in the state open.
package storage
