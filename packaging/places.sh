# Sourced by the scripts beside it: where things are, and what fixes their contents. Everything that is built lies outside the checkout,
# so that a later run finds it again: $SEALAGENT_PACKAGING_CACHE, else a folder of its own under the user's cache.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${SEALAGENT_PACKAGING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealagent-packaging}
mkdir -p "$cache"
# Programs, packages, tools.
export CARGO_TARGET_DIR=$cache/target
out=${SEALAGENT_PACKAGING_OUT:-$cache/out}
mkdir -p "$out"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -1)
# The one time that files and packages carry: that of the newest changelog entry.
SOURCE_DATE_EPOCH=$(date -u -d "$(sed -n 's/^ -- .*>  //p' "$root/packaging/deb/changelog" | head -1)" +%s)
export SOURCE_DATE_EPOCH
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

say() { printf '%s\n' "· $*"; }
fail() { printf '%s\n' "FAILED: $*" >&2; exit 1; }
