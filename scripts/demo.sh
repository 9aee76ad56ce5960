#!/bin/sh
# Sets up what is missing, builds the programs, runs the demo. Arguments go to `sealagent demo`.
set -eu
cd "$(dirname "$0")/.."

scripts/setup-debian.sh
# The demo looks for its sibling programs beside its own, so they are built into the same folder.
cargo build --locked --package sealagent --package sealagent-worker --package sealagent-preview --package sealauthority --bins
exec cargo run --locked --quiet --package sealagent --bin sealagent -- demo "$@"
