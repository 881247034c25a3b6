// Package minio runs a real MinIO server for tests: a process on loopback over a
// temporary folder, which can be killed, stopped, continued and started again.
//
// It knows nothing of what is stored. The binary is built by `make .bin/minio`.
//
//	Start ──► serves ──Stop──► hangs ──Continue──► serves
//	             │ Kill
//	             ▼
//	           gone ──Start──► serves, with the same data and address
//
// A package whose tests share one server has minio.Main in its TestMain, and asks
// for a bucket of its own with ForTest. No server outlives its tests, even if the
// test process is killed.
package minio
