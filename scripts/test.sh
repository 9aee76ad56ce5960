#!/bin/sh
# Sets up what is missing, builds all programs (tests start them), runs all tests. Arguments go to `cargo test`.
set -eu
cd "$(dirname "$0")/.."

scripts/setup-debian.sh --test
cargo build --locked --workspace --bins
exec cargo test --locked --workspace "$@"
