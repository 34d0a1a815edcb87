#!/usr/bin/env bash
# `hangup serve` against clients that are not ours: curl and wrk, the admin pages, SIGTERM and the report.
#
#     tests/peers/serve.sh [path of hangup]
#
# Installs curl and wrk where they are missing (apt-get). Ends only what it started.
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
for tool in curl wrk; do command -v "$tool" > "$work/where" || missing+=("$tool"); done
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

printf 'serve.sh: all as it should be\n'
