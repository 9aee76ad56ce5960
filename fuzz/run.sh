#!/usr/bin/env bash
# fuzz/run.sh [SECONDS [BODY...]]: each fuzz body under libFuzzer for SECONDS (30 unless told), two at a time. Needs a nightly toolchain;
# says so and ends with status 3 where there is none (the same bodies run on stable in `cargo test -p sealagent-fuzz`).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
shift || true
if ! rustup run nightly rustc --version >/dev/null 2>&1; then
    echo "no nightly toolchain: the fuzz bodies ran on stable only" >&2
    exit 3
fi
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools
[ -x "$tools/bin/cargo-fuzz" ] || cargo install --quiet --locked cargo-fuzz --version 0.13.2 --root "$tools"
export PATH="$tools/bin:$PATH"
[ $# -gt 0 ] || set -- $(ls fuzz/fuzz_targets | sed 's/\.rs$//')
# The release profile optimises over all crates, which costs a minute for each body and finds nothing more.
export CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
cargo +nightly fuzz build --features libfuzzer

one() {
    local body=$1 log
    log=$(mktemp)
    mkdir -p "fuzz/corpus/$body"
    if "$program_folder/$body" -artifact_prefix="fuzz/artifacts/$body/" "fuzz/corpus/$body" "fuzz/seeds/$body" \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 >"$log" 2>&1; then
        echo "fuzz $body: $(tail -n 1 "$log")"
    else
        echo "fuzz $body: FAILED" >&2
        tail -n 60 "$log" >&2
        return 1
    fi
    rm -f "$log"
}
export -f one
export seconds
program_folder=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/release
export program_folder
for body in "$@"; do mkdir -p "fuzz/artifacts/$body"; done
printf '%s\n' "$@" | xargs -n 1 -P 2 bash -c 'one "$0"'
