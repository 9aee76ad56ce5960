#!/usr/bin/env bash
# pcsc-names.sh COMPILER FOLDER  - a libpcsclite.so that has the names which the crate pcsc-sys links, and nothing behind them. It is
# linked against and never shipped: a foreign architecture's library need not be installed for a cross build.
set -euo pipefail
compiler=$1 folder=$2
[ ! -e "$folder/libpcsclite.so" ] || exit 0
mkdir -p "$folder"
manifest=$(cargo metadata --locked --format-version 1 --manifest-path "$(dirname "$0")/../Cargo.toml" |
    grep -o '"manifest_path":"[^"]*pcsc-sys-[^"]*"' | head -1 | cut -d'"' -f4)
source=$(dirname "$manifest")/src/lib.rs
{
    grep -ohE 'pub fn SCard\w+' "$source" | awk '{print $3}' | sort -u | sed 's/.*/int &(void){return -1;}/'
    grep -ohE 'pub static g_\w+' "$source" | awk '{print $3}' | sort -u | sed 's/.*/long &[3];/'
} >"$folder/names.c"
"$compiler" -shared -nostdlib -fPIC -Wl,-soname,libpcsclite.so.1 -o "$folder/libpcsclite.so" "$folder/names.c"
