#!/bin/sh
# Sets up what is missing, builds all programs (tests start them), runs all tests; the fuzz bodies are among them, on stable. Arguments
# go to `cargo test`. libFuzzer itself: fuzz/run.sh.
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
exec cargo test --locked --workspace "$@"
