#!/usr/bin/env bash
# The main job, on a real package: build, push, inspect, pull, verify, and what
# the registry refuses. Everything happens in a temporary folder on a free port.
set -euo pipefail

bin=$(cd "${1:-bin}" && pwd)
project=$(cd "$(dirname "$0")/data/hello" && pwd)
advisories=$(cd "$(dirname "$0")/data/osv" && pwd)
dir=$(mktemp -d)
server=
finish() {
  status=$?
  if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; fi
  if [ $status -ne 0 ]; then
    echo "the demonstration failed; the server's log:" >&2
    tail -n 20 "$dir/wreg.log" >&2 || true
  fi
  rm -rf "$dir"
  exit $status
}
trap finish EXIT
cd "$dir"

export XDG_CONFIG_HOME=$dir/config XDG_CACHE_HOME=$dir/cache DOCKER_CONFIG=$dir/docker
"$bin/wreg" serve --listen 127.0.0.1:0 --data data 2>wreg.log &
server=$!
host=
for _ in $(seq 100); do
  host=$(sed -n 's/.*msg=serving address=\([^ ]*\).*/\1/p' wreg.log)
  if [ -n "$host" ]; then break; fi
  kill -0 "$server"
  sleep 0.1
done
export WPKG_REGISTRY=$host
json() { grep -oE "\"$1\": ?\"[^\"]*\"" | cut -d'"' -f4; } # every value of a key
first() { sed -n 1p; }

echo "wreg    serves on $host from an empty folder"
"$bin/wpkg" --quiet build "$project" -o hello.wasm >/dev/null
echo "build   hello.wasm, $(stat -c %s hello.wasm) bytes, from a Go project"
digest=$("$bin/wpkg" --quiet push demo:hello@1.0.0 hello.wasm --view oci-image --output json | json digest | first)
echo "push    demo:hello@1.0.0 is $digest"
"$bin/wpkg" inspect demo:hello@1.0.0 >report.txt
echo "inspect $(grep -E '^kind' report.txt | cut -c12-), $(grep -E '^made by' report.txt | cut -c12-); it may $(grep -cE '^  (harmless|notable|sensitive) ' report.txt) things"
"$bin/wpkg" sbom demo:hello@1.0.0 >bom.txt
echo "sbom    $(grep -cE ' proven ' bom.txt) components from the bytes alone: $(grep -E '^golang: ' bom.txt)"
"$bin/wreg" advisories import --data data "$advisories/go.zip" >/dev/null
"$bin/wpkg" scan demo:hello@1.0.0 --db "$advisories/go.zip" --reachable-only --fail-on never >scan.txt
echo "scan    $(tail -n 1 scan.txt)"
"$bin/wpkg" --quiet pull demo:hello@^1 -o pulled.wasm >/dev/null
cmp hello.wasm pulled.wasm
echo "pull    demo:hello@^1 gives the same bytes, sha256 $(sha256sum pulled.wasm | cut -c1-12)…"
"$bin/wpkg" --quiet run demo:hello@1.0.0 >ran.txt 2>&1
start=$(date +%s%N)
"$bin/wpkg" --quiet run --pull never demo:hello@1.0.0 >ran.txt 2>&1
echo "run     $(head -n 1 ran.txt), from what was compiled before: $((($(date +%s%N) - start) / 1000000)) ms"
echo "list    $("$bin/wpkg" --quiet list demo:hello --output json | grep -oE '"tags":.*\]' | tr -d '[]"' | cut -d: -f2)"
printf '\0asm\1\0\0\0' >other.wasm
if "$bin/wpkg" --quiet push demo:hello@1.0.0 other.wasm 2>refused.txt; then
  echo "the registry let version 1.0.0 change" >&2
  exit 1
fi
echo "refuse  $(grep -oE 'tag 1.0.0 .*' refused.txt | sed 's/ \[.*//')"
settled() { # until what was pushed is inspected and indexed
  for _ in $(seq 100); do
    if [ "$("$bin/wpkg" jobs list --output json | json state | wc -l)" = 0 ]; then return; fi
    sleep 0.1
  done
  return 1
}
settled
echo "search  lang:go capability:clock finds $("$bin/wpkg" search 'lang:go capability:clock' --output json | json package | first)"
echo "search  dep:pkg:golang/stdlib@>=1.20 finds $("$bin/wpkg" search 'dep:pkg:golang/stdlib@>=1.20' --output json | json package | first)"
cat >no-clock.yaml <<'YAML'
name: no-clock
scope:
  repositories: [prod/**]
rules:
  - name: clock
    deny: '"clock" in capabilities.reachable'
    message: nothing in prod may tell the time
YAML
"$bin/wpkg" --quiet policy put no-clock.yaml >/dev/null
if "$bin/wpkg" --quiet push prod:hello@1.0.0 hello.wasm 2>denied.txt; then
  echo "the registry let in what its policy forbids" >&2
  exit 1
fi
echo "policy  $(grep -oE 'no-clock/clock.*' denied.txt | first | cut -c1-110)"
kill -9 "$server" && wait "$server" 2>/dev/null || true
server=
"$bin/wreg" fsck --data data >/dev/null
echo "verify  after kill -9, wreg fsck finds every digest and reference in order"
