#!/usr/bin/env bash
# What `hangup probe` says of real servers on loopback: fasthttp, net/http, hyper, axum, actix-web, node and nginx. Ends with status 1
# where a verdict is not as tests/peers/pins.toml has it.
#
#     tests/peers/matrix.sh HANGUP [NAME ...]
#     tests/peers/matrix.sh HANGUP --write      # three runs of each, and the page sim/guide/real-servers.md
#
# Installs Go, fasthttp, nginx and node where they are missing (apt-get). Ends what it starts; no service of the system is used.
set -euo pipefail
hangup="$(realpath "$1")"
shift
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

missing=()
[ -n "$(type -P go)" ] || missing+=(golang-go)
[ -d /usr/share/gocode/src/github.com/valyala/fasthttp ] || missing+=(golang-github-valyala-fasthttp-dev)
[ -n "$(type -P node)" ] || missing+=(nodejs)
[ -n "$(type -P nginx)" ] || missing+=(nginx)
if [ "${#missing[@]}" -gt 0 ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

for peer in fasthttp net-http; do
    GO111MODULE=off GOPROXY=off GOFLAGS= GOPATH="$work/go:/usr/share/gocode" GOCACHE="$work/cache" \
        go build -o "$work/$peer" "tests/peers/$peer/main.go"
done
cargo build -q -p hangup-peers

more=()
if [ "${1:-}" = --write ]; then
    shift
    more=(--runs 3 --at-once 3 --write sim/guide/real-servers.md)
fi
"${CARGO_TARGET_DIR:-target}/debug/matrix" --hangup "$hangup" --go "$work" "${more[@]}" "$@"
