#!/bin/sh
# Drives real browsers against the agent. Needs chromium, node 20, npm and openssl; where one is missing it says SKIPPED and succeeds,
# unless it is called with --must-run. The test of frames also needs root and /etc/chromium/policies/managed.
set -eu
cd "$(dirname "$0")/.."

for program in chromium node npm openssl; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "SKIPPED: $program is not found, no browser is tested. Debian: apt-get install chromium nodejs npm openssl"
        [ "${1-}" = --must-run ] && exit 1
        exit 0
    fi
done

[ -d tests/browser/node_modules ] || (cd tests/browser && npm ci --no-progress)
cargo build --locked --workspace --bins
exec cargo test --locked -p sealagent --test browsers
