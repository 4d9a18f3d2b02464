#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each.
set -euo pipefail
time=${1:-10s}
targets=0
while IFS=: read -r file name; do
  dir=./$(dirname "$file")
  echo "fuzz $dir $name $time"
  go test "$dir" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 5s | grep -vE '^fuzz: elapsed' || exit 1
  targets=$((targets + 1))
done < <(grep -rhoE --include='*_test.go' -H '^func Fuzz[A-Za-z0-9_]+' cmd registry artifact sbom signing inspect storage web internal test 2>/dev/null | sed 's/func //')
echo "$targets fuzz targets ran"
[ "$targets" -gt 0 ]
