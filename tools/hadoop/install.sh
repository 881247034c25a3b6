#!/usr/bin/env bash
# Puts the servers of HDFS that pom.xml pins into .bin/hadoop/VERSION: the jars,
# and archives of loaded classes that halve what a start costs. Installs Debian's
# Java and Maven where that is possible, and says what to do where it is not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=hadoop title=HDFS
. "$here/../java/install.bash"

finish() {
	rm -rf "$folder"/archive-* "$folder"/*.jsa
	(cd "$root" && quietly go run ./test/hadoop/run --archive)
}

install_once
