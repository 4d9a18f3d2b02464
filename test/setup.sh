#!/usr/bin/env bash
# Installs the Debian packages that the tests need and this machine lacks.
set -euo pipefail

declare -A needs=( # package → a file it provides
  [postgresql]='/usr/lib/postgresql/*/bin/postgres'
  [strace]=/usr/bin/strace
  [skopeo]=/usr/bin/skopeo
  [nginx-light]=/usr/sbin/nginx
  [wabt]=/usr/bin/wasm-objdump
  [clang]=/usr/bin/clang
  [lld]=/usr/bin/wasm-ld
  [wasi-libc]=/usr/lib/wasm32-wasi/libc.a
  [libclang-rt-14-dev-wasm32]='/usr/lib/llvm-14/lib/clang/14*/lib/wasi/*.a'
)
missing=()
for package in "${!needs[@]}"; do
  compgen -G "${needs[$package]}" >/dev/null || missing+=("$package")
done
# Rust's own installer brings its targets.
if command -v rustup >/dev/null; then
  targets=$(rustup target list --installed)
  for target in wasm32-wasip1 wasm32-wasip2; do
    grep -qx "$target" <<<"$targets" || rustup target add "$target"
  done
fi
# npm often comes from elsewhere; any will do.
command -v npm >/dev/null || missing+=(npm)
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if ! command -v apt-get >/dev/null; then
  echo "the tests need these programs, install them first: ${missing[*]}" >&2
  exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
echo "installing: ${missing[*]}"
# A server that a package starts by itself is not wanted: the tests run their own.
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
