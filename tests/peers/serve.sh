#!/usr/bin/env bash
# `hangup serve` against clients that are not ours: curl and wrk, crowds of idle clients, the admin pages, SIGTERM,
# the report and the exit status.
#
#     tests/peers/serve.sh [path of hangup]
#
# Installs curl, wrk and python3 where they are missing (apt-get). Ends only what it started.
set -euo pipefail
cd "$(dirname "$0")/../.."

hangup="${1:-${CARGO_TARGET_DIR:-target}/release/hangup}"
seconds="${WRK_SECONDS:-10}"
work="$(mktemp -d)"
serving=""
trap '[ -z "$serving" ] || kill -KILL "$serving" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() { printf 'serve.sh: %s\n' "$*" >&2; exit 1; }
is() { [ "$2" = "$3" ] || fail "$1: got \"$2\", not \"$3\""; printf 'ok  %s\n' "$1"; }
has() { grep -qF -- "$3" "$2" || { cat "$2" >&2; fail "$1: no \"$3\""; }; printf 'ok  %s\n' "$1"; }

missing=()
for tool in curl wrk python3; do command -v "$tool" > "$work/where" || missing+=("$tool"); done
if [ "${#missing[@]}" -gt 0 ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q > "$work/apt" 2>&1 || { cat "$work/apt" >&2; fail "apt-get update"; }
    "${as_root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}" > "$work/apt" 2>&1 \
        || { cat "$work/apt" >&2; fail "apt-get install ${missing[*]}"; }
fi

# Starts `hangup serve` with these arguments on free ports; sets $at and $admin once it serves.
serve() {
    "$hangup" serve --listen 127.0.0.1:0 --json "$@" > "$work/out" 2> "$work/err" &
    serving=$!
    for _ in $(seq 100); do
        [ -s "$work/out" ] && break
        kill -0 "$serving" 2>/dev/null || { cat "$work/err" >&2; fail "serve $* ended"; }
        sleep 0.1
    done
    at="http://$(sed -n '1s/.*"address":"\([^"]*\)".*/\1/p' "$work/out")"
    admin="http://$(sed -n '1s/.*"admin":"\([^"]*\)".*/\1/p' "$work/out")"
    [ "$at" != "http://" ] || fail "serve $* did not say where it is"
}

# Asks for a shutdown and waits for its end.
stop() {
    kill -TERM "$serving"
    local status=0
    wait "$serving" || status=$?
    serving=""
    is "SIGTERM: exit status" "$status" 0
    tail -n 1 "$work/out" > "$work/report"
}

ask() { curl -sS --noproxy '*' --max-time 20 "$@"; }

serve --flight "$work/flight"

head -c $((2 * 1024 * 1024)) /dev/urandom > "$work/body"
digest="$(sha256sum "$work/body" | cut -d ' ' -f 1)"

is "GET" "$(ask -w ' %{http_code} %{http_version}' "$at/")" "ok 200 1.1"
is "HTTP/1.0" "$(ask -0 -w ' %{http_code}' "$at/")" "ok 200"
is "two requests on one connection" "$(ask -w ' %{num_connects} ' "$at/" "$at/")" "ok 1 ok 0 "

ask -v -H 'Expect: 100-continue' --data-binary "@$work/body" -o "$work/answer" "$at/echo" 2> "$work/said"
is "2 MiB with Expect" "$(cat "$work/answer")" "2097152 $digest"
has "Expect: the 100 came" "$work/said" "HTTP/1.1 100 Continue"
is "Expect: one 100" "$(grep -c 'HTTP/1.1 100' "$work/said")" 1
is "2 MiB without Expect" "$(ask -H 'Expect:' --data-binary "@$work/body" "$at/echo")" "2097152 $digest"
is "2 MiB chunked" "$(ask -H 'Transfer-Encoding: chunked' -H 'Expect:' --data-binary "@$work/body" "$at/echo")" "2097152 $digest"
is "2 MiB over HTTP/1.0" "$(ask -0 --data-binary "@$work/body" "$at/echo")" "2097152 $digest"
ask -H 'Transfer-Encoding: chunked' --data-binary "@$work/body" -o "$work/answer" "$at/stream"
is "2 MiB streamed back" "$(sha256sum "$work/answer" | cut -d ' ' -f 1)" "$digest"

head -c $((5 * 1024 * 1024)) /dev/zero > "$work/large"
ask -v -H 'Expect: 100-continue' --data-binary "@$work/large" -o "$work/answer" "$at/echo" 2> "$work/said" || true
has "5 MiB: refused" "$work/said" "HTTP/1.1 413"
is "5 MiB: no 100 before it" "$(grep -c 'HTTP/1.1 100' "$work/said" || true)" 0
is "refused by the application, unread" "$(ask -H 'Expect: 100-continue' -o "$work/answer" -w '%{http_code}' --data-binary "@$work/body" "$at/reject")" 403
is "a body of a megabyte" "$(ask -o "$work/answer" -w '%{http_code} %{size_download}' "$at/big/1000000")" "200 1000000"
is "a panic is a 500" "$(ask -o "$work/answer" -w '%{http_code}' "$at/panic")" 500
is "and the next is served" "$(ask "$at/")" ok

wrk -t 2 -c 64 -d "${seconds}s" "$at/" > "$work/wrk"
cat "$work/wrk"
# wrk prints these lines only when there were any.
is "wrk: no socket errors" "$(grep -c 'Socket errors' "$work/wrk" || true)" 0
is "wrk: no other status" "$(grep -c 'Non-2xx' "$work/wrk" || true)" 0

# A client that does #1834 and stays.
host="${at#http://}"
exec 7<> "/dev/tcp/${host%:*}/${host##*:}"
printf 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n' >&7
is "the incident: it gets its 100" "$(head -n 1 <&7 | tr -d '\r')" "HTTP/1.1 100 Continue"
ask "$admin/debug/connections" > "$work/dump"
has "the dump: its phase" "$work/dump" "1 in expect, oldest "
has "the dump: its deadline" "$work/dump" "(total)"
ask "$admin/debug/connections?json" > "$work/dump"
has "the dump as JSON" "$work/dump" '"phase":"expect"'
ask "$admin/metrics" > "$work/metrics"
is "metrics: opened = open + closed" "$(awk '/^hangup_connections_opened_total /{n+=$2} /^hangup_connections_(open|closed_total)\{/{n-=$2} END{print n}' "$work/metrics")" 0
has "metrics: the end" "$work/metrics" "# EOF"
ask "$admin/debug/flight" > "$work/record"
has "the flight record" "$work/record" '"hangup_flight":1'
is "the incident: ended by its deadline" "$(sed -n 's/^\(HTTP.*\)\r$/\1/p' <&7 | head -n 1)" "HTTP/1.1 408 Request Timeout"
exec 7>&-

stop
has "the report" "$work/report" '"graceful":true'
has "the report: nothing is open" "$work/report" '"open":0'
has "the report: nobody was cut" "$work/report" '"cut":[]'
has "the report: what ended the incident" "$work/report" '"timeout-expect":1'
has "the flight record as a file" "$work/flight" '"reason":"timeout-expect"'

# The same client against the server without limits: told within a second, and still there at the end.
serve --server hangup-unbounded --patience 400ms
host="${at#http://}"
exec 7<> "/dev/tcp/${host%:*}/${host##*:}"
printf 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n' >&7
is "unbounded: it gets its 100" "$(head -n 1 <&7 | tr -d '\r')" "HTTP/1.1 100 Continue"
for _ in $(seq 100); do grep -q '"alert"' "$work/out" && break; sleep 0.1; done
has "unbounded: the alert" "$work/out" "1 connection without a deadline"
has "unbounded: the advice" "$work/out" "Set read timeouts"
ask "$admin/debug/connections" > "$work/dump"
has "unbounded: the dump" "$work/dump" "deadline none (as fasthttp's defaults)"
exec 7>&-
stop
has "unbounded: gone with its client" "$work/report" '"open":0'

# A crowd of idle clients: with few descriptors, and with as many connections as there may be.
# $1 says what it is, $2 how many clients; the server is the one at $at.
crowd() {
    python3 tests/peers/crowd.py "${at#http://}" "${admin#http://}" "$2" > "$work/crowd" || fail "$1: crowd.py"
    is "$1: a healthy client of another address" "$(grep -c '^healthy 200$' "$work/crowd" || true)" 3
    is "$1: the admin page" "$(sed -n 's/^admin //p' "$work/crowd")" 200
    has "$1: the log" "$work/err" "full: the connection that was idle longest makes room"
    ask "$admin/metrics" > "$work/metrics"
    has "$1: evictions are counted" "$work/metrics" 'hangup_connections_closed_total{reason="evicted"}'
}

hangup="$(realpath "$hangup")"
printf '#!/bin/sh\nulimit -n 1024\nexec "%s" "$@"\n' "$hangup" > "$work/few"
chmod +x "$work/few"
full="$hangup"
hangup="$work/few"
serve
has "1024 descriptors: said at the start" "$work/out" '"descriptors":{"application":0,"connections":960,"limit":1024,"reserved":64}'
crowd "1024 descriptors" 1100
has "1024 descriptors: what to raise" "$work/err" "raise the limit of open files"
stop
hangup="$full"

if [ "$(ulimit -Hn)" -ge 18000 ]; then
    serve
    crowd "16,384 connections" 16400
    stop
else
    printf 'not tried: 16,384 connections take 18,000 open files, and the hard limit is %s\n' "$(ulimit -Hn)"
fi

printf 'serve.sh: all as it should be\n'
