#!/bin/sh
# Sets up what is missing, builds all programs (tests start them), runs all tests; the fuzz bodies and the browsers are among them.
# Arguments go to `cargo test`. What needs packages that cannot be had is ignored, and says so; with MUST_RUN=yes it fails where a
# browser, or a package of node or Python, cannot be had. libFuzzer itself: fuzz/run.sh.
set -eu
cd "$(dirname "$0")/.."

scripts/setup-debian.sh --test

# pyHanko judges the PDFs, openapi-spec-validator the contract. Where no Python package can be had, their cases are ignored.
python=$(realpath -m "${CARGO_TARGET_DIR:-target}")/judges-python
judges="pyhanko==0.38.0 openapi-spec-validator==0.9.0"
if command -v python3 >/dev/null 2>&1 && [ "$(cat "$python/judges" 2>/dev/null)" != "$judges" ]; then
    # shellcheck disable=SC2086 # the list is split on purpose
    python3 -m venv "$python" && "$python/bin/python3" -m pip install --quiet --disable-pip-version-check $judges && echo "$judges" >"$python/judges" ||
        rm -rf "$python"
fi
[ ! -x "$python/bin/python3" ] || export SEALAGENT_PYTHON="$python/bin/python3"
[ -z "${MUST_RUN-}" ] || [ -x "$python/bin/python3" ] || {
    echo "MUST_RUN: pyHanko and openapi-spec-validator cannot be had" >&2
    exit 1
}

scripts/test-sdk.sh ${MUST_RUN:+--must-run}
scripts/test-browsers.sh --prepare ${MUST_RUN:+--must-run}

cargo build --locked --workspace --bins
exec cargo test --locked --workspace "$@"
