#!/usr/bin/env bash
# What many idle partitions cost one node: `talos dev` with PARTITIONS partitions
# that hold records, first with all their segments open, then after a restart and
# a look at each. Prints the figures, and fails above the limits.
#
#   PARTITIONS (2000)  SECONDS_IDLE (30)
#   CPU_PERCENT (2) of a core   MEMORY_MB (200) resident   START_SECONDS (3)
#
# The clients' and the operators' port are 17070 and 17071 of loopback.
set -euo pipefail
partitions=${PARTITIONS:-2000} seconds=${SECONDS_IDLE:-30}
cpu_limit=${CPU_PERCENT:-2} memory_limit=${MEMORY_MB:-200} start_limit=${START_SECONDS:-3}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
node=
trap 'if [[ $node ]]; then kill "$node" 2>/dev/null || true; wait "$node" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
export TALOS_SERVER=127.0.0.1:17070
pages=127.0.0.1:17071
talos=$work/talos
failed=0

go build -o "$talos" ./cmd/talos

now() { date +%s.%N; }

# start: runs the node, and reports how long it took to serve.
start() {
	local begun
	begun=$(now)
	"$talos" dev --data "$work/data" --listen "$TALOS_SERVER" --http "$pages" >"$work/out" 2>>"$work/log" &
	node=$!
	until grep -q 'Next, in another terminal' "$work/out"; do
		kill -0 "$node" || { cat "$work/log" >&2; exit 1; }
		read -rt 0.02 <> <(:) || true
	done
	report "start" "$(awk -v a="$begun" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }')" s "$start_limit"
}

stop() {
	kill -INT "$node"
	wait "$node"
	node=
}

# report WHAT FIGURE UNIT LIMIT
report() {
	local verdict=ok
	if awk -v x="$2" -v limit="$4" 'BEGIN { exit !(x > limit) }'; then
		verdict='TOO MUCH' failed=1
	fi
	printf '%-34s %10s %-12s limit %6s  %s\n' "$1" "$2" "$3" "$4" "$verdict"
}

metric() { curl -sSf "http://$pages/metrics" | awk -v name="$1" '$1 == name { printf "%.6f", $2 }'; }

# idle WHAT: what the node uses while nobody asks it anything.
idle() {
	local before after
	sleep 5
	before=$(metric process_cpu_seconds_total)
	sleep "$seconds"
	after=$(metric process_cpu_seconds_total)
	report "$1: processor" "$(awk -v a="$before" -v b="$after" -v s="$seconds" 'BEGIN { printf "%.2f", (b - a) / s * 100 }')" '% of a core' "$cpu_limit"
	report "$1: memory" "$(awk -v b="$(metric process_resident_memory_bytes)" 'BEGIN { printf "%.0f", b / 1e6 }')" MB "$memory_limit"
	printf '  (%.0f partitions open, %.0f segments open for writing, %.0f goroutines)\n' \
		"$(metric talos_server_open_partitions)" "$(metric talos_store_open_appenders)" "$(metric go_goroutines)"
}

start
"$talos" topic create logs --partitions "$partitions" 2>/dev/null
# Enough keys that hardly a partition gets none.
seq $((partitions * 20)) | sed 's/.*/key-&\tvalue-&/' >"$work/records"
"$talos" produce logs --key-separator '\t' --file "$work/records" >/dev/null 2>&1
idle 'all segments open'
stop
start
"$talos" offsets logs --timeout 120s >/dev/null
idle 'after a restart'
stop
exit "$failed"
