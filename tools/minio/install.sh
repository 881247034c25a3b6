#!/usr/bin/env bash
# Builds the MinIO server that the S3 store is tested against, in the version that
# go.mod pins, to the path that is given. It takes a few minutes, once.
set -euo pipefail
target=${1:?where to}
mkdir -p "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")
cd "$(dirname "$0")"
# One package at a time: some of them take a lot of memory to compile.
nice -n 5 "${GO:-go}" build -p 1 -o "$target.new" github.com/minio/minio
mv "$target.new" "$target"
