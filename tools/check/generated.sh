#!/usr/bin/env bash
# Generates the protobuf code into a temporary folder and compares it with the
# tree; docs/ is compared by a Go test. It does not look at git, so it works
# with uncommitted changes as well.
set -euo pipefail
buf=$1
want=$(mktemp -d)
trap 'rm -rf "$want"' EXIT

"$buf" generate -o "$want"
(cd hdfs/internal/wire && "$buf" generate -o "$want/wire")
for pair in "proto proto" "wire hdfs/internal/wire"; do
	read -r made kept <<<"$pair"
	if ! diff -ru --exclude='*.proto' --exclude='*.yaml' --exclude=doc.go "$want/$made" "$kept"; then
		echo 'generated protobuf code is not current: run `make generate`' >&2
		exit 1
	fi
done
echo 'generated protobuf code is current'
