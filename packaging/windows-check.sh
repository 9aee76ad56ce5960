#!/usr/bin/env bash
# cargo check of everything that ships for Windows, for x86_64-pc-windows-gnu, and of the worker that hosts vendors' 32-bit libraries
# (installed as sealagent-worker32.exe beside the others), for i686-pc-windows-gnu: nothing may grow that cannot be packaged.
# Makes the cross toolchain first where it is missing (about a minute; cross-toolchain.sh says how).
set -euo pipefail
cd "$(dirname "$0")/.."
target=x86_64-pc-windows-gnu
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}
packaging/cross-toolchain.sh "$target" i686-pc-windows-gnu
cargo +sealagent-cross check --target "$target" -p sealagent -p sealagent-worker -p sealagent-prompt -p sealagent-preview -p sealagent-start
cargo +sealagent-cross check --target i686-pc-windows-gnu -p sealagent-worker
