#!/usr/bin/env bash
# Runs every fuzz target of the tree for its share of FUZZSECONDS, and says which.
# A failing input is written below the package's testdata/fuzz, where go test
# replays it from then on: commit it with the fix.
set -euo pipefail
total=${1:?seconds in all}

targets=()
while IFS=: read -r file func; do
	targets+=("./$(dirname "$file") $(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$func")")
done < <(grep -rE --include='*_test.go' '^func Fuzz' . | sed 's|^\./||')
[ "${#targets[@]}" -gt 0 ] || { echo 'there is no fuzz target' >&2; exit 1; }

each=$(((total + ${#targets[@]} - 1) / ${#targets[@]}))
for target in "${targets[@]}"; do
	read -r package name <<<"$target"
	echo "fuzz $package $name: $each s"
	if ! said=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "${each}s" -parallel 2 "$package" 2>&1); then
		echo "$said"
		exit 1
	fi
	tail -n 2 <<<"$said"
done
