#!/bin/sh
# Drives real browsers, Chromium and Firefox, against the agent, its bridge and its own pages; with --prepare it only fetches what that needs, for the rows of
# `cargo test`. Needs a browser, node 18, npm, openssl, and a registry for the packages that package-lock.json names; what is missing it
# says, with the word SKIPPED, and succeeds, unless it is called with --must-run. The test of frames in Chromium also needs root.
set -eu
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED: $1, $2."
    [ "$must_run" = no ] || exit 1
}

must_run=no
prepare=no
for argument in "$@"; do
    case "$argument" in
        --must-run) must_run=yes ;;
        --prepare) prepare=yes ;;
        *) echo "usage: $0 [--prepare] [--must-run]" >&2 && exit 2 ;;
    esac
done
for program in node npm openssl; do
    if ! command -v "$program" >/dev/null 2>&1; then
        skip "$program is not found (Debian: apt-get install nodejs npm openssl)" "no browser is tested"
        exit 0
    fi
done
for browser in chromium firefox-esr; do
    command -v "$browser" >/dev/null 2>&1 || skip "$browser is not found (Debian: apt-get install $browser)" "it is not tested"
done
if [ ! tests/browser/node_modules/.package-lock.json -nt tests/browser/package-lock.json ] && ! (cd tests/browser && npm ci --no-progress); then
    skip "npm cannot get the packages of tests/browser/package-lock.json" "no browser is tested"
    exit 0
fi

[ "$prepare" = no ] || exit 0
cargo build --locked --workspace --bins
exec cargo test --locked -p sealagent --test browsers --test own_pages
