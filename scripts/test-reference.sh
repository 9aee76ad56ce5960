#!/bin/sh
# Every suite that ends in a verdict, with the constant-time crate `sm2` in the place of `sm2-verify` (feature `reference-sm2`): no verdict
# may change. Arguments go to `cargo test`.
set -eu
cd "$(dirname "$0")/.."
exec cargo test --locked -p sealagent --features reference-sm2 \
    --test verification --test samples --test ofd_samples --test ses_samples --test pdf --test regions "$@"
