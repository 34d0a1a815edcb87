#!/usr/bin/env bash
# `hangup serve` on this machine's kernel: slow honest readers, waves of clients that never read,
# and a healthy client, all at the same time. `kernel/__main__.py` says what is tried and measured.
#
#     tests/peers/kernel.sh [path of hangup] [seconds]
#
# Takes 10 minutes unless told otherwise, and python3. Ends only what it started.
set -euo pipefail
cd "$(dirname "$0")/../.."

hangup="${1:-${CARGO_TARGET_DIR:-target}/release/hangup}"
seconds="${2:-600}"
work="$(mktemp -d)"
serving="" clients=""
trap 'for it in $clients $serving; do kill -KILL "$it" 2>/dev/null || true; done; rm -rf "$work"' EXIT

fail() { cat "$work/err" >&2; printf 'kernel.sh: %s\n' "$*" >&2; exit 1; }

"$hangup" serve --listen 127.0.0.1:0 --json > "$work/out" 2> "$work/err" &
serving=$!
until [ -s "$work/out" ]; do
    kill -0 "$serving" 2>/dev/null || fail "serve ended"
    sleep 0.1
done
address() { sed -n "1s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$work/out"; }

python3 -B tests/peers/kernel "$(address address)" "$(address admin)" "$serving" "$seconds" &
clients=$!
wait "$clients" || fail "a promise is broken"
clients=""

kill -TERM "$serving"
status=0
wait "$serving" || status=$?
serving=""
[ "$status" = 0 ] || fail "exit status $status at SIGTERM, not 0"
grep -q '"open":0' <(tail -n 1 "$work/out") || fail "the report: connections are open"
printf 'kernel.sh: all as it should be\n'
