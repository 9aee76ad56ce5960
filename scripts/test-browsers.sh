#!/bin/sh
# Drives real browsers, Chromium and Firefox, against the agent: public pages, then its own. Needs one of them, node 20, npm and openssl; what is missing it says,
# with the word SKIPPED, and succeeds, unless it is called with --must-run. The test of frames also needs root and the folder
# /etc/chromium/policies/managed.
set -eu
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED: $1 is not found, $2. Debian: apt-get install chromium firefox-esr nodejs npm openssl"
    if [ "$must_run" = yes ]; then exit 1; fi
}

must_run=no
[ "${1-}" = --must-run ] && must_run=yes
for program in node npm openssl; do
    if ! command -v "$program" >/dev/null 2>&1; then
        skip "$program" "no browser is tested"
        exit 0
    fi
done
for browser in chromium firefox-esr; do
    command -v "$browser" >/dev/null 2>&1 || skip "$browser" "it is not tested"
done

[ -d tests/browser/node_modules ] || (cd tests/browser && npm ci --no-progress)
cargo build --locked --workspace --bins
exec cargo test --locked -p sealagent --test browsers --test own_pages
