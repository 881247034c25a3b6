#!/usr/bin/env bash
# Compares the protobuf API with the one before: that of the last commit if the
# sources changed since, else that of the commit before their last change, so
# that a runner that checks a clean clone out compares something as well.
# It says so when there is nothing to compare with.
set -euo pipefail
buf=$1
sources=(buf.yaml proto)

skip() {
	echo "buf breaking: not checked: $1"
	exit 0
}

git rev-parse --is-inside-work-tree >/dev/null 2>&1 || skip 'this is not a git checkout'
git rev-parse --verify --quiet HEAD >/dev/null || skip 'there is no commit yet'

base=HEAD
if git diff --quiet HEAD -- "${sources[@]}"; then
	last=$(git log -1 --format=%H -- "${sources[@]}")
	[ -n "$last" ] || skip 'no commit has protobuf sources'
	base=$(git rev-parse --verify --quiet "$last^") ||
		skip 'the history that this clone has begins with the present sources'
fi
[ -n "$(git ls-tree "$base" -- buf.yaml)" ] || skip "$(git rev-parse --short "$base") has no protobuf sources"

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git archive "$base" "${sources[@]}" | tar -x -C "$before"
"$buf" breaking --against "$before"
echo "buf breaking: compatible with $(git rev-parse --short "$base")"
