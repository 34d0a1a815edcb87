#!/usr/bin/env bash
# From an alert in production to a regression test: the whole way, on loopback, in under two minutes.
#
#     tests/peers/production.sh [path of hangup]
#
# 1. `hangup serve` without limits works under mixed load, and a few clients do #1834.
# 2. The watch raises its alert, and the flight recorder's file is written.
# 3. `hangup import` makes a scenario of one of the connections that are stuck.
# 4. The simulation has the same finding, with a proof: nothing will ever end it.
# 5. The scenario is a regression file, which `cargo test` holds our server with its limits to.
#
# Installs curl and wrk where they are missing (apt-get). Ends only what it started.
set -euo pipefail
cd "$(dirname "$0")/../.."

hangup="${1:-${CARGO_TARGET_DIR:-target}/release/hangup}"
work="$(mktemp -d)"
regression="tests/regressions/production-walk.toml"
serving=""
load=()
# Every process of it is gone by itself after 20 s; this is for a run that fails.
trap 'for pid in $serving "${load[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done; rm -rf "$work" "$regression"' EXIT

fail() { printf 'production.sh: %s\n' "$*" >&2; exit 1; }
step() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; }
has() { grep -qF -- "$2" "$1" || { cat "$1" >&2; fail "no \"$2\""; }; }

missing=()
for tool in curl wrk; do command -v "$tool" > "$work/where" || missing+=("$tool"); done
if [ "${#missing[@]}" -gt 0 ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q > "$work/apt" 2>&1 || { cat "$work/apt" >&2; fail "apt-get update"; }
    "${as_root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}" > "$work/apt" 2>&1 \
        || { cat "$work/apt" >&2; fail "apt-get install ${missing[*]}"; }
fi

step "1. A server under mixed load, and three clients that do #1834"
show "hangup serve --server hangup-unbounded --patience 5s --flight flight --json"
"$hangup" serve --listen 127.0.0.1:0 --server hangup-unbounded --patience 5s --flight "$work/flight" --json \
    > "$work/out" 2> "$work/err" &
serving=$!
for _ in $(seq 100); do
    [ -s "$work/out" ] && break
    kill -0 "$serving" 2>/dev/null || { cat "$work/err" >&2; fail "serve ended"; }
    sleep 0.1
done
host="$(sed -n '1s/.*"address":"\([^"]*\)".*/\1/p' "$work/out")"
[ -n "$host" ] || fail "serve did not say where it is"
# Keep-alive and one request a connection, small and large, bodies and slow handlers.
wrk -t 1 -c 16 -d 10s "http://$host/" > "$work/keep-alive" & load+=($!)
wrk -t 1 -c 8 -d 10s -H 'Connection: close' "http://$host/big/20000" > "$work/close" & load+=($!)
(for _ in $(seq 40); do
    curl -sS --noproxy '*' --max-time 10 -H 'Expect: 100-continue' --data-binary "@$0" -o "$work/echo" "http://$host/echo"
    curl -sS --noproxy '*' --max-time 10 -o "$work/slow" "http://$host/slow/50"
done) & load+=($!)
for fd in 5 6 7; do
    eval "exec $fd<> /dev/tcp/${host%:*}/${host##*:}"
    printf 'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n' >&"$fd"
    said="$(head -n 1 <&"$fd" | tr -d '\r')"
    [ "$said" = "HTTP/1.1 100 Continue" ] || fail "a client of the incident got \"$said\""
done
echo "three clients have their 100 Continue, and say nothing more"

step "2. The alert"
for _ in $(seq 200); do ! grep -q '"alert"' "$work/out" || break; sleep 0.1; done
grep -m 1 '"alert"' "$work/out" || fail "no alert in 20 s"
for pid in "${load[@]}"; do wait "$pid" || fail "the load failed"; done
load=()
served="$(awk '/ requests in /{n+=$1} END{print n}' "$work/keep-alive" "$work/close")"
echo "meanwhile $served requests were answered"
has "$work/flight" '"hangup_flight":1'
record="$(grep '"length":1000,"expect":"100-continue"' "$work/flight" | grep -v '"closed_s"' | head -n 1 || true)"
[ -n "$record" ] || fail "no open connection in the flight record waits as the incident does"
number="$(printf '%s' "$record" | sed 's/^{"connection":\([0-9]*\),.*/\1/')"
echo "$record"

step "3. The record of that connection becomes a scenario"
show "hangup import flight --connection $number --out scenarios"
file="$("$hangup" import "$work/flight" --connection "$number" --out "$work/scenarios")"
cat "$file"

step "4. The same finding in the simulation"
show "hangup run $(basename "$file") --server hangup-unbounded"
status=0
"$hangup" run "$file" --server hangup-unbounded --color never > "$work/report" || status=$?
[ "$status" = 1 ] || fail "run ended with $status, not with findings"
has "$work/report" "hung: connection 1 is still held"
has "$work/report" "(phase: body)"
cat "$work/report"

step "5. A regression file"
cp "$file" "$regression"
show "hangup replay $regression --server hangup && cargo test -p hangup-tests --test regressions"
"$hangup" replay "$regression" --server hangup --color never
cargo test -q -p hangup-tests --test regressions

for fd in 5 6 7; do eval "exec $fd>&-"; done
kill -TERM "$serving"
wait "$serving" || fail "serve did not shut down gracefully"
serving=""
printf 'production.sh: from the alert to the regression test\n'
