#!/usr/bin/env bash
# The chapter of README.md on docker compose, played: builds the images, runs the
# cluster, kills a node and (on HDFS) a DataNode under load, and checks that every
# record is there, once. Then it removes the containers and their volumes.
#
#   COMPOSE_PROFILES (hdfs) or minio   SECONDS_LOAD (40), of 10,000 records each
#   COMPOSE (docker compose, or docker-compose where that is missing)
set -euo pipefail
cd "$(dirname "$0")/../.."
export COMPOSE_PROFILES=${COMPOSE_PROFILES:-hdfs}
# Not the volumes of somebody's own cluster.
export COMPOSE_PROJECT_NAME=talos-trial
seconds=${SECONDS_LOAD:-40} per_second=10000 patience=300
work=$(mktemp -d)

if [[ ! ${COMPOSE:-} ]]; then
	COMPOSE='docker compose'
	$COMPOSE version >/dev/null 2>&1 || COMPOSE=docker-compose
fi
compose() { $COMPOSE "$@"; }
talos() { compose exec -T node-1 /talos "$@"; }

end() {
	local code=$?
	if ((code)); then compose ps || true; compose logs --tail=20 || true; fi
	compose down -v >"$work/down" 2>&1 || cat "$work/down"
	rm -rf "$work"
	exit "$code"
}
trap end EXIT

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

# await WHAT COMMAND...: polls until the command succeeds.
await() {
	local what=$1 until=$((SECONDS + patience))
	shift
	until "$@"; do
		((SECONDS < until)) || { echo "not within ${patience}s: $what" >&2; return 1; }
		read -rt 1 <> <(:) || true
	done
	say "$what"
}

# healthy COUNT: so many containers of the project are, by their own checks.
healthy() {
	[[ $(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter health=healthy --quiet | wc -l) == "$1" ]]
}

well() { talos cluster status 2>/dev/null | grep -q 'all is well'; }

# growing: each partition has records.
growing() { [[ $(talos offsets logs -o json 2>/dev/null | grep -c '"end":[1-9]') -ge 6 ]]; }

load() {
	local i
	for ((i = 0; i < seconds; i++)); do
		seq $((i * per_second + 1)) $(((i + 1) * per_second)) | sed 's/.*/&:&/'
		sleep 1
	done
}

case $COMPOSE_PROFILES in
hdfs) count=8 victims=(node-3 datanode-2) ;;
minio) count=5 victims=(node-3) ;;
*) echo "there is no profile $COMPOSE_PROFILES, only hdfs and minio" >&2; exit 2 ;;
esac
say 'building the images'
compose build --quiet >"$work/build" 2>&1 || { cat "$work/build"; exit 1; }
say 'images are built'
compose up -d >"$work/up" 2>&1 || { cat "$work/up"; exit 1; }
await "$count containers are healthy" healthy "$count"
talos topic create logs --partitions 6
load | talos produce logs --key-separator : >"$work/produced" 2>&1 &
producing=$!
await 'records arrive in each partition' growing
for victim in "${victims[@]}"; do
	compose kill "$victim" >"$work/kill" 2>&1 || { cat "$work/kill"; exit 1; }
	say "$victim is killed"
done
wait "$producing" || { cat "$work/produced"; exit 1; }
say "the producer is done: $(tail -n 1 "$work/produced")"
talos consume logs --from earliest >"$work/consumed"
sort -n "$work/consumed" | cmp - <(seq $((seconds * per_second)))
say "all $((seconds * per_second)) records are there, once"
talos cluster status || true
compose up -d >"$work/up" 2>&1 || { cat "$work/up"; exit 1; }
await "$count containers are healthy again" healthy "$count"
await 'all is well' well
talos cluster status
