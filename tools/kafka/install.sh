#!/usr/bin/env bash
# Puts the broker of Kafka that pom.xml pins into .bin/kafka/VERSION. Installs
# Debian's Java and Maven where that is possible, and says what to do where it is not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=kafka title=Kafka
. "$here/../java/install.bash"

finish() { :; }

install_once
