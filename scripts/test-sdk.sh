#!/bin/sh
# Tests the JavaScript client: its types, its own tests, and that sdk/js/dist is what its source gives. Needs node 20 and npm; where
# they are missing it says SKIPPED and succeeds, unless it is called with --must-run.
set -eu
cd "$(dirname "$0")/../sdk/js"

for program in node npm; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "SKIPPED: $program is not found, the JavaScript client is not tested. Debian: apt-get install nodejs npm"
        [ "${1-}" = --must-run ] && exit 1
        exit 0
    fi
done

[ -d node_modules ] || npm ci --no-progress
npx tsc --noEmit
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
node build.mjs "$fresh/dist"
if ! diff -r "$fresh/dist" dist; then
    echo "sdk/js/dist is not what the source gives. Run: cd sdk/js && npm run build" >&2
    exit 1
fi
node --test test/*.test.mjs
