#!/usr/bin/env bash
# fuzz/run.sh [SECONDS [BODY...]]: each fuzz body under libFuzzer for SECONDS (30 unless told). Needs a nightly toolchain; says so and
# ends with status 3 where there is none (the same bodies run on stable in `cargo test -p sealagent-fuzz`).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
shift || true
if ! rustup run nightly rustc --version >/dev/null 2>&1; then
    echo "no nightly toolchain: the fuzz bodies ran on stable only" >&2
    exit 3
fi
tools=${CARGO_TARGET_DIR:-target}/tools
[ -x "$tools/bin/cargo-fuzz" ] || cargo install --quiet --locked cargo-fuzz --version 0.13.2 --root "$tools"
export PATH="$PWD/$tools/bin:$PATH"
[ $# -gt 0 ] || set -- $(ls fuzz/fuzz_targets | sed 's/\.rs$//')
# The release profile optimises over all crates, which costs a minute for each body and finds nothing more.
export CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
cargo +nightly fuzz build --features libfuzzer
for body in "$@"; do
    echo "== fuzz $body for $seconds s"
    mkdir -p "fuzz/corpus/$body"
    cargo +nightly fuzz run --features libfuzzer "$body" "fuzz/corpus/$body" "fuzz/seeds/$body" -- -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -print_final_stats=0 2>&1 | tail -n 3
done
