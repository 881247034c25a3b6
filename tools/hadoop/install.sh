#!/usr/bin/env bash
# Puts the servers of HDFS that pom.xml pins into .bin/hadoop/VERSION: the jars,
# and archives of loaded classes that halve what a start costs. Runs once for each
# pom.xml; two runs at once are fine. Installs Debian's Java and Maven where that
# is possible, and says what to do where it is not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
version=$(sed -n 's|.*<hadoop.version>\(.*\)</hadoop.version>.*|\1|p' "$here/pom.xml")
folder=$root/.bin/hadoop/$version
wanted=$(cksum <"$here/pom.xml")

installed() {
	command -v javac >/dev/null && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$wanted" ]
}

# quietly runs a command, whose output matters only if it fails.
quietly() {
	"$@" >"$folder/output" 2>&1 && return
	cat "$folder/output" >&2
	return 1
}

java_and_maven() {
	if command -v javac >/dev/null && command -v mvn >/dev/null; then
		return
	fi
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo 'HDFS needs Java 17 or later with its compiler, and Maven to fetch it: install javac and mvn,' >&2
		echo "for example Debian's openjdk-17-jdk-headless and maven" >&2
		return 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	quietly apt-get update -qq
	local java=openjdk-17-jdk-headless
	# Later releases of Debian have only later ones.
	apt-cache show "$java" >/dev/null 2>&1 || java=openjdk-21-jdk-headless
	quietly apt-get install -y -qq --no-install-recommends "$java" maven
}

jars() {
	rm -rf "$folder/lib" "$folder/lib.part" "$folder"/archive-* "$folder"/*.jsa
	quietly mvn --batch-mode --quiet --strict-checksums --no-transfer-progress -Dstyle.color=never \
		--file "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$folder/lib.part"
	mv "$folder/lib.part" "$folder/lib"
}

if installed; then
	exit 0
fi
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if installed; then
	exit 0
fi
echo "installing Hadoop $version into .bin (pinned in tools/hadoop)"
rm -f "$folder/stamp"
java_and_maven
jars
# What runs there must not hold the lock, should it outlive this script.
(cd "$root" && quietly go run ./test/hadoop/run --archive 9>&-)
rm -f "$folder/output"
echo "$wanted" >"$folder/stamp"
