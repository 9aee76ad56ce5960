#!/usr/bin/env bash
# build.sh TARGET...  - release builds of what ships for each target:
#   x86_64-unknown-linux-gnu   aarch64-unknown-linux-gnu   x86_64-pc-windows-gnu   i686-pc-windows-gnu (the worker for 32-bit libraries)
# All but the first need the cross toolchain, which is made when it is missing. No path of this machine goes into a program.
source "$(dirname "$0")/places.sh"
cd "$root"

# std's own paths are fixed by cross-toolchain.sh; those of crates and of the checkout here.
flags="--remap-path-prefix=$root=sealagent --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=crates"
flags="$flags --remap-path-prefix=$CARGO_TARGET_DIR=target"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc

for target in "$@"; do
    programs=(--bins -p sealagent -p sealagent-worker -p sealagent-prompt -p sealagent-preview)
    export RUSTFLAGS=$flags
    toolchain=+sealagent-cross
    case $target in
        x86_64-unknown-linux-gnu) toolchain= programs+=(-p sealauthority -p sealagent-packaging) ;;
        aarch64-unknown-linux-gnu)
            programs+=(-p sealauthority)
            # The names of the smart card library are enough to link: the real one is on the machine that runs it.
            export PCSC_LIB_DIR=$cache/pcsc-names/$target
            "$root/packaging/pcsc-names.sh" aarch64-linux-gnu-gcc "$PCSC_LIB_DIR"
            ;;
        x86_64-pc-windows-gnu) programs+=(-p sealagent-start) ;;
        i686-pc-windows-gnu) programs=(-p sealagent-worker -p ukey-virtual-skf) ;; # the module for check-msi.sh, not packaged
        *) fail "no such target: $target" ;;
    esac
    case $target in *-windows-gnu) RUSTFLAGS="$flags -Clink-arg=-Wl,--no-insert-timestamp" ;; esac
    [ -z "$toolchain" ] || "$root/packaging/cross-toolchain.sh" "$target"
    say "programs for $target"
    # shellcheck disable=SC2086 # no toolchain is no word
    cargo $toolchain build --quiet --locked --release --target "$target" "${programs[@]}"
done
