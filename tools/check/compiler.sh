#!/usr/bin/env bash
# The race detector needs a C compiler. Installs Debian's where that is possible,
# and says what to do where it is not.
set -euo pipefail
if command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
	exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends gcc libc6-dev
	exit 0
fi
echo 'the tests run with the race detector, which needs a C compiler: install gcc or clang' >&2
exit 1
