#!/usr/bin/env bash
# A real capture: tcpdump listens to curl and to a client of #1834 that talk to `hangup serve` on loopback, and the capture becomes scenarios.
#
#     tests/peers/capture.sh [path of hangup]
#
# Installs curl, tcpdump and editcap where they are missing (apt-get); capturing takes root. Ends only what it started; keeps no capture.
set -euo pipefail
cd "$(dirname "$0")/../.."

hangup="${1:-${CARGO_TARGET_DIR:-target}/release/hangup}"
work="$(mktemp -d)"
chmod 777 "$work"
serving="" listening=""
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
trap '[ -z "$listening" ] || "${as_root[@]}" kill -KILL "$listening" 2>/dev/null || true
    [ -z "$serving" ] || kill -KILL "$serving" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() { printf 'capture.sh: %s\n' "$*" >&2; exit 1; }
is() { [ "$2" = "$3" ] || fail "$1: got \"$2\", not \"$3\""; printf 'ok  %s\n' "$1"; }
has() { grep -qE -- "$3" "$2" || { cat "$2" >&2; fail "$1: no \"$3\""; }; printf 'ok  %s\n' "$1"; }

missing=()
for tool in curl tcpdump; do command -v "$tool" > "$work/where" || missing+=("$tool"); done
command -v editcap > "$work/where" || missing+=(wireshark-common)
if [ "${#missing[@]}" -gt 0 ]; then
    "${as_root[@]}" apt-get update -q > "$work/apt" 2>&1 || { cat "$work/apt" >&2; fail "apt-get update"; }
    "${as_root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}" > "$work/apt" 2>&1 \
        || { cat "$work/apt" >&2; fail "apt-get install ${missing[*]}"; }
fi

"$hangup" serve --listen 127.0.0.1:0 --server hangup-unbounded --log off --json > "$work/out" 2> "$work/err" &
serving=$!
for _ in $(seq 100); do
    [ -s "$work/out" ] && break
    kill -0 "$serving" 2>/dev/null || { cat "$work/err" >&2; fail "serve ended"; }
    sleep 0.1
done
host="$(sed -n '1s/.*"address":"\([^"]*\)".*/\1/p' "$work/out")"
[ -n "$host" ] || fail "serve did not say where it is"
port="${host##*:}"

# `-U` and immediate mode: each packet is written as it comes.
"${as_root[@]}" tcpdump -i lo -U --immediate-mode -s 0 -w "$work/real.pcap" "tcp port $port" 2> "$work/tcpdump" &
listening=$!
for _ in $(seq 100); do ! grep -q 'listening on' "$work/tcpdump" || break; sleep 0.1; done
has "tcpdump listens" "$work/tcpdump" 'listening on'

curl -sS --noproxy '*' --max-time 10 -H 'Cookie: session=secret' -H 'Expect: 100-continue' --data-binary 'hello, echo' \
    "http://$host/echo" > "$work/echo"
is "curl's upload" "$(cut -d ' ' -f 1 "$work/echo")" 11
is "curl, two requests on a connection" "$(curl -sS --noproxy '*' --max-time 10 "http://$host/" "http://$host/big/3" | wc -c)" 5
exec 5<> "/dev/tcp/${host%:*}/$port"
printf 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n' >&5
is "the incident gets its 100" "$(head -n 1 <&5 | tr -d '\r')" "HTTP/1.1 100 Continue"
# It has gone over the wire; now until it is in the file.
for _ in $(seq 100); do
    "${as_root[@]}" cat "$work/real.pcap" > "$work/so-far.pcap"
    "$hangup" import "$work/so-far.pcap" > "$work/all.toml" 2> "$work/import" || true
    ! grep -q '^# connection 3.*(100)' "$work/all.toml" || break
    sleep 0.1
done
"${as_root[@]}" kill -INT "$listening"
wait "$listening" || true
listening=""
exec 5>&-
# tcpdump writes the one format; Wireshark's tool makes the other of it.
editcap -F pcapng "$work/so-far.pcap" "$work/so-far.pcapng"

for kind in pcap pcapng; do
    "$hangup" import "$work/so-far.$kind" --port "$port" > "$work/all.toml"
    is "$kind: its connections" "$(grep -c '^# connection' "$work/all.toml")" 3
    is "$kind: no secret" "$(grep -c 'session=secret' "$work/all.toml" || true)" 0
    "$hangup" import "$work/so-far.$kind" --port "$port" --connection 1 --keep-payload > "$work/curl.toml"
    has "$kind: the payload is kept where it is asked for" "$work/curl.toml" 'hello, echo'
    for server in hangup hyper hangup-unbounded; do
        status=0
        "$hangup" run "$work/curl.toml" --server "$server" --json > "$work/run" || status=$?
        is "$kind: curl's upload on $server" "$status" 0
        has "$kind: the same answers" "$work/run" '"statuses":\[100,200\]'
    done
    "$hangup" import "$work/so-far.$kind" --port "$port" --connection 3 > "$work/incident.toml"
    for server in hyper hangup-unbounded; do
        status=0
        "$hangup" run "$work/incident.toml" --server "$server" --json > "$work/run" || status=$?
        is "$kind: the incident on $server" "$status" 1
        has "$kind: it never ends" "$work/run" '"verdict":"hung".*"never_ends":true'
    done
    "$hangup" run "$work/incident.toml" --server hangup > "$work/run"
    printf 'ok  %s: our server with its limits is clean\n' "$kind"
done
kill -TERM "$serving"
wait "$serving" || fail "serve did not shut down gracefully"
serving=""
printf 'capture.sh: all as it should be\n'
