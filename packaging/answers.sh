#!/usr/bin/env bash
# answers PORT PATH [TEXT]: whether the HTTP server of this container answers PATH with
# 200, and with TEXT in its answer. A health check for images without curl.
set -euo pipefail
port=${1:?a port} path=${2:?a path} text=${3:-}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$path" >&3
answer=$(cat <&3)
[[ ${answer%%$'\r'*} == *' 200'* ]] || { echo "$path: ${answer%%$'\r'*}"; exit 1; }
[[ $answer == *"$text"* ]] || { echo "$path: no $text in the answer"; exit 1; }
