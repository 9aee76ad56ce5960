#!/bin/sh
# Tests the JavaScript client: its types, its own tests, and that sdk/js/dist is what its source gives. Needs node 18 and npm, and a
# registry for the compilers that package-lock.json names; where one is missing it says SKIPPED and succeeds, unless it is called with
# --must-run.
set -eu
cd "$(dirname "$0")/../sdk/js"

skip() {
    echo "SKIPPED: $1, the JavaScript client is not tested."
    [ "$must_run" = no ]
    exit
}

must_run=no
[ "${1-}" = --must-run ] && must_run=yes
for program in node npm; do
    command -v "$program" >/dev/null 2>&1 || skip "$program is not found (Debian: apt-get install nodejs npm)"
done
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-progress || skip "npm cannot get the packages of sdk/js/package-lock.json"
npx tsc --noEmit
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
node build.mjs "$fresh/dist"
if ! diff -r "$fresh/dist" dist; then
    echo "sdk/js/dist is not what the source gives. Run: cd sdk/js && npm run build" >&2
    exit 1
fi
node --test test/*.test.mjs
