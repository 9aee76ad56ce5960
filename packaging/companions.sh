#!/usr/bin/env bash
# companions.sh TARGET  - manual pages, completions, bill of materials and licences beside the programs of that target.
source "$(dirname "$0")/places.sh"
cd "$root"
tool=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/sealagent-packaging
packaging/build.sh x86_64-unknown-linux-gnu
"$tool" "$CARGO_TARGET_DIR/$1/release/packaging" "$1"
gzip -9nf "$CARGO_TARGET_DIR/$1/release/packaging/man/"*.1
