// Package s3 holds the S3 store against a real MinIO server: the conformance
// suite, zombies at each stage of their life, recoveries that race with appends,
// answers that are lost, and servers that are gone for a while; and the real node
// over it, killed in the middle of its work.
//
// What needs no server is tested beside the store.
package s3
