#!/bin/sh
# Sets up what is missing, builds all programs (tests start them), runs all tests, then each fuzz body for a while. Arguments go to
# `cargo test`; with any, the fuzz bodies run as part of the tests only.
set -eu
cd "$(dirname "$0")/.."

scripts/setup-debian.sh --test

# pyHanko judges the PDFs. Where no Python package can be had, its cases are reported as ignored.
python=${CARGO_TARGET_DIR:-target}/judges-python
if [ ! -x "$python/bin/python3" ] && command -v python3 >/dev/null 2>&1; then
    python3 -m venv "$python" && "$python/bin/pip" install --quiet --disable-pip-version-check pyhanko==0.38.0 || rm -rf "$python"
fi
[ ! -x "$python/bin/python3" ] || export SEALAGENT_PYTHON="$PWD/$python/bin/python3"

cargo build --locked --workspace --bins
cargo test --locked --workspace "$@"
if [ $# -eq 0 ]; then
    status=0
    fuzz/run.sh "${FUZZ_SECONDS:-30}" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status" # 3: no nightly toolchain, and it said so
fi
