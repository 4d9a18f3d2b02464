#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each, one on each core.
set -euo pipefail
export FUZZTIME=${1:-10s}

run() { # file:target
  dir=./$(dirname "${1%%:*}")
  name=${1##*:}
  # On a busy machine go test may end with "context deadline exceeded" when its
  # time is up, without any input that fails: golang/go#75804, fixed in Go 1.27.
  if out=$(go test "$dir" -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 5s -parallel 1 -timeout 1h 2>&1) ||
    { grep -q '^    context deadline exceeded$' <<<"$out" && ! grep -q 'Failing input' <<<"$out"; }; then
    echo "ok    $dir $name $FUZZTIME"
  else
    printf '%s\n' "FAIL  $dir $name" "$out"
    return 1
  fi
}
export -f run

targets=$(grep -roE --include='*_test.go' -H '^func Fuzz[A-Za-z0-9_]+' cmd registry artifact inspect sbom signing storage web internal test | sed 's/func //')
printf '%s\n' "$targets" | xargs -P "$(nproc)" -I{} bash -c 'run {}'
echo "$(printf '%s\n' "$targets" | wc -l) fuzz targets ran"
