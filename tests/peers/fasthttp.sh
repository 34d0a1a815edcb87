#!/usr/bin/env bash
# The incident, in the server that it happened in: fasthttp 1.31 from Debian, over TCP on 127.0.0.1. A client asks for
# 100 Continue, gets it and sends nothing more. Without timeouts its goroutine waits in ContinueReadBody for as long as anybody
# looks, and `hangup hunt` finds the incident from the dump of its stacks; with the three timeouts it is gone.
# Usage: tests/peers/fasthttp.sh HANGUP
set -euo pipefail
hangup="$(realpath "$1")"
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
peer=
cleanup() {
    [ -z "$peer" ] || kill "$peer" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

fail() { echo "fasthttp: $*" >&2; exit 1; }

# Installs what is missing.
if [ -z "$(type -P go)" ] || [ ! -d /usr/share/gocode/src/github.com/valyala/fasthttp ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qy --no-install-recommends golang-go golang-github-valyala-fasthttp-dev
fi

GO111MODULE=off GOPROXY=off GOFLAGS= GOPATH="$work/go:/usr/share/gocode" GOCACHE="$work/cache" \
    go build -o "$work/peer" "$here/fasthttp/main.go"
echo "fasthttp $(dpkg-query -W -f '${Version}' golang-github-valyala-fasthttp-dev), $(go version)"

# Starts the peer with these arguments; sets `address` and `admin`.
start() {
    : > "$work/addresses"
    # A peer that nobody ends, ends itself.
    timeout 10m "$work/peer" "$@" > "$work/addresses" &
    peer=$!
    for _ in $(seq 100); do
        read -r address admin < "$work/addresses" && return
        kill -0 "$peer" 2>/dev/null || fail "the peer did not start"
        sleep 0.1
    done
    fail "the peer does not say where it listens"
}

stop() { kill "$peer"; wait "$peer" 2>/dev/null || true; peer=; }

# The client of the incident: opens descriptor 7, and leaves it open.
ask() {
    exec 7<>"/dev/tcp/${address%:*}/${address##*:}"
    printf 'POST /echo HTTP/1.1\r\nHost: hangup.test\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n' >&7
    IFS= read -r -t 10 line <&7 || fail "there is no answer"
    [ "${line%$'\r'}" = "HTTP/1.1 100 Continue" ] || fail "the answer is $line"
    read -r -t 10 _ <&7
}

stacks() { curl -sS --max-time 10 "http://$admin/" > "$work/stacks"; }

# How many goroutines wait in ContinueReadBody.
stuck() { stacks; grep -c 'ContinueReadBody(' "$work/stacks" || true; }

start
ask
# Far longer than the peer below takes to let go of it.
sleep 8
[ "$(stuck)" = 1 ] || fail "without timeouts the goroutine is gone: $(cat "$work/stacks")"
echo "without timeouts: after 8 s a goroutine is still in"
grep -m1 'ContinueReadBody(' "$work/stacks" | sed 's/^/  /'
status=0
"$hangup" hunt --dump "$work/stacks" --out "$work/found" > "$work/hunt" || status=$?
[ "$status" = 1 ] || fail "hunt ended with status $status: $(cat "$work/hunt")"
grep -q '  fasthttp-1834 ' "$work/hunt" || fail "hunt does not find it: $(cat "$work/hunt")"
echo "hangup hunt finds fasthttp-1834 from that dump"
exec 7>&-
stop

start -timeouts 2s
ask
sleep 8
[ "$(stuck)" = 0 ] || fail "with timeouts of 2 s the goroutine is still there after 8 s"
echo "with timeouts of 2 s: gone after 8 s"
exec 7>&-
stop
