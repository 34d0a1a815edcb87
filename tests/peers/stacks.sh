#!/usr/bin/env bash
# The stacks that `hangup hunt` is tested with: fasthttp's and net/http's, each with one connection in each phase in which it can be stuck, and each
# as a client that waits. Writes sim/tests/hunt/stacks/PEER-PHASE.txt, or the folder that is given.
# Usage: tests/peers/stacks.sh [FOLDER]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="$(realpath -m "${1:-$here/../../sim/tests/hunt/stacks}")"
work="$(mktemp -d)"
mkdir -p "$folder"
peers=()
cleanup() {
    for peer in "${peers[@]}"; do kill "$peer" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

fail() { echo "stacks: $*" >&2; exit 1; }

if [ -z "$(type -P go)" ] || [ ! -d /usr/share/gocode/src/github.com/valyala/fasthttp ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qy --no-install-recommends golang-go golang-github-valyala-fasthttp-dev
fi
for peer in fasthttp net-http; do
    GO111MODULE=off GOPROXY=off GOFLAGS= GOPATH="$work/go:/usr/share/gocode" GOCACHE="$work/cache" \
        go build -trimpath -o "$work/$peer" "$here/$peer/main.go"
done

# Starts a peer; sets `address` and `admin`.
start() {
    local name="$1"; shift
    : > "$work/addresses"
    timeout 10m "$work/$name" "$@" > "$work/addresses" &
    peers+=("$!")
    for _ in $(seq 100); do
        read -r address admin < "$work/addresses" && return
        sleep 0.1
    done
    fail "$name does not say where it listens"
}

# Waits until a stack has these words, and writes all stacks of the peer.
stacks() {
    local page="$1" words="$2" file="$3"
    for _ in $(seq 100); do
        curl -sS --max-time 10 "http://$admin$page" > "$work/stacks"
        if grep -qE "$words" "$work/stacks"; then
            cp "$work/stacks" "$folder/$file.txt"
            echo "$file: $(grep -c ^goroutine "$folder/$file.txt") goroutines"
            return
        fi
        sleep 0.1
    done
    cat "$work/stacks" >&2
    fail "$file: nothing waits in $words"
}

connect() { exec 7<>"/dev/tcp/${address%:*}/${address##*:}"; printf "$1" >&7; }

# PEER, its page of stacks, PHASE, a frame that shows it, what the client sends.
each() {
    local name="$1" page="$2" phase="$3" words="$4" says="$5"
    start "$name"
    connect "$says"
    if [ "$phase" = expect ] || [ "$phase" = idle ]; then IFS= read -r -t 10 _ <&7; fi
    stacks "$page" "$words" "$name-$phase"
    if [ "$phase" = handler ]; then
        curl -sS --max-time 10 "http://$admin/shutdown" > "$work/shutdown"
        stacks "$page" '\(\*Server\)\.Shutdown' "$name-shutdown"
    fi
    exec 7>&-
}

body='POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n'
chunks='POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc'
get='GET %s HTTP/1.1\r\nHost: h\r\n\r\n'

fasthttp() { each fasthttp / "$@"; }
fasthttp opening 'serveConn' ''
fasthttp head 'serveConn' 'GET / HTTP/1.1\r\nHos'
fasthttp expect 'ContinueReadBody' "${body}Expect: 100-continue\r\n\r\n"
fasthttp body 'ContinueReadBody' "$body\r\nabc"
fasthttp chunk 'readBodyChunked' "$chunks"
fasthttp handler 'time.Sleep' "${get/\%s//slow/600000}"
fasthttp response 'waitWrite' "${get/\%s//big/100000000}"
fasthttp idle 'serveConn' "${get/\%s//}"

nethttp() { each net-http /stacks "$@"; }
nethttp opening 'readRequest' ''
nethttp head 'readRequest' 'GET / HTTP/1.1\r\nHos'
nethttp expect 'expectContinueReader' "${body}Expect: 100-continue\r\n\r\n"
nethttp body '\(\*body\)\.Read' "$body\r\nabc"
nethttp chunk 'chunkedReader' "$chunks"
nethttp handler 'time.Sleep' "${get/\%s//slow/600000}"
nethttp response 'waitWrite' "${get/\%s//big/100000000}"
nethttp idle '\(\*conn\)\.serve' "${get/\%s//}"
nethttp drain 'finishRequest' "${body/echo/reject}\r\nabc"

# As clients: of a server that does not answer.
start net-http
silent="http://$address/slow/600000"
start fasthttp -ask "$silent"
stacks / 'ResponseHeader' fasthttp-client
start net-http -ask "$silent"
stacks /stacks 'persistConn' net-http-client
