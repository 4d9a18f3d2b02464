#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: Debian packages, the
# targets of Rust, and in .cache a checker of APIs. With arguments, only the
# packages of these names.
set -euo pipefail

declare -A needs=( # package → a file it provides
  [postgresql]='/usr/lib/postgresql/*/bin/postgres'
  [strace]=/usr/bin/strace
  [skopeo]=/usr/bin/skopeo
  [nginx-light]=/usr/sbin/nginx
  [wabt]=/usr/bin/wasm-objdump
  [gcc]=/usr/bin/gcc # of the race detector and of wasmtime's Go package
  [libc6-dev]=/usr/include/stdio.h
  [softhsm2]=/usr/lib/softhsm/libsofthsm2.so
  [opensc]=/usr/bin/pkcs11-tool
  [libxml2-utils]=/usr/bin/xmllint
  [clang]=/usr/bin/clang
  [crun]=/usr/bin/crun # which make bench compares the start of packages with
  [lld]=/usr/bin/wasm-ld
  [wasi-libc]=/usr/lib/wasm32-wasi/libc.a
  [libclang-rt-14-dev-wasm32]='/usr/lib/llvm-14/lib/clang/14*/lib/wasi/*.a'
)
declare -A apart=( # what only make engine-arm64 and make aot need, and name
  [gcc-aarch64-linux-gnu]=/usr/bin/aarch64-linux-gnu-gcc
  [libc6-dev-arm64-cross]=/usr/aarch64-linux-gnu/lib/libc.a
  [qemu-user-static]=/usr/bin/qemu-aarch64-static
)
wanted=("$@")
if [ $# -eq 0 ]; then wanted=("${!needs[@]}"); fi
missing=()
for package in "${wanted[@]}"; do
  compgen -G "${needs[$package]:-${apart[$package]:-}}" >/dev/null || missing+=("$package")
done
if [ $# -eq 0 ]; then # npm and rustup often come from elsewhere; any will do
  command -v npm >/dev/null || missing+=(npm)
  command -v rustup >/dev/null || missing+=(rustup)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi
if [ ${#missing[@]} -gt 0 ]; then
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
  if ! $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    echo "install them by hand; rustup, which older Debians lack, is at https://rustup.rs" >&2
    exit 1
  fi
fi

if [ $# -gt 0 ]; then exit; fi

rustup show active-toolchain >/dev/null 2>&1 || rustup default stable
targets=$(rustup target list --installed)
for target in wasm32-wasip1 wasm32-wasip2; do
  grep -qx "$target" <<<"$targets" || rustup target add "$target"
done

# A virtual environment is finished once it has the list that it was made from.
checker=.cache/schemathesis list=test/api/requirements.txt
if ! cmp -s "$list" "$checker/requirements.txt"; then
  rm -rf "$checker"
  python3 -m venv "$checker"
  "$checker/bin/pip" install --quiet --disable-pip-version-check -r "$list"
  cp "$list" "$checker/requirements.txt"
fi
