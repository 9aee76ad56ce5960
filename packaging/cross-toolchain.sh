#!/usr/bin/env bash
# cross-toolchain.sh [TARGET...]  - makes (or completes) the rustup toolchain "sealagent-cross": a compiler and its std for the targets,
# std built from the source that Debian packages: rust-src from backports for the stock compiler; where that is no longer served (or with
# CROSS_FROM=security), compiler and source together as bookworm-security has them. Finished steps are skipped when it runs again.
# Everything stands in $CROSS_TOOLCHAIN_DIR, and beside it with .work what was fetched.
set -euo pipefail
stock=1.95.0
source_package="rust-src=$stock+dfsg1-2~bpo13+1" source_suite=trixie-backports
source_sha256=7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b
# What the compiler of bookworm-security needs beside itself. Its packages are unpacked, not installed: they conflict with other compilers.
security_packages="rustc-web libstd-rust-web-1.96 libstd-rust-web-dev cargo-web rust-web-src
    libllvm22 libgit2-1.5 libssh2-1 libmbedcrypto7 libmbedx509-1 libmbedtls14 libhttp-parser2.9"

# The machine's own mirror, of the archive and of its security updates.
served() { { grep -rhoE "https?://[^ ]+/$1/?( |\$)" /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null || true; } | head -1 | tr -d ' '; }
mirror=${DEBIAN_MIRROR:-$(served debian)}
security_mirror=${DEBIAN_SECURITY_MIRROR:-$(served debian-security)}
[ -n "$mirror" ] || { echo 'set DEBIAN_MIRROR' >&2; exit 1; }
toolchain=${CROSS_TOOLCHAIN_DIR:-$HOME/.local/share/sealagent-cross}
[ $# -gt 0 ] || set -- x86_64-pc-windows-gnu i686-pc-windows-gnu
work=$toolchain.work
mkdir -p "$work"
exec 9>"$toolchain.lock"
flock 9 # two builds may want it at once

# fetch SOURCES PACKAGE...  - downloads packages into $work/debs with an apt that has its own state: the machine's is untouched.
fetch() {
    local apt=$work/apt debs=$work/debs
    rm -rf "$apt" "$debs"
    mkdir -p "$apt"/{lists/partial,archives/partial} "$debs"
    : >"$apt/status"
    printf '%s\n' "$1" >"$apt/sources.list"
    shift
    local options=(-o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
        -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
    apt-get "${options[@]}" -qq update && (cd "$debs" && apt-get "${options[@]}" -qq download "$@")
}
archive() { echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 $2 main"; }

# The stock compiler (hard links where the file system allows: no extra disk) and its own std's source.
from_stock() {
    local compiler
    fetch "$(archive "$mirror" "$source_suite")" "$source_package" || return 1
    echo "$source_sha256  $(ls "$work"/debs/rust-src_*.deb)" | sha256sum -c --quiet || return 1
    compiler=$(rustc "+$stock" --print sysroot) || return 1
    rm -rf "$toolchain" "$work/x"
    cp -al "$compiler" "$toolchain" 2>/dev/null || { rm -rf "$toolchain" && cp -a "$compiler" "$toolchain"; }
    mkdir -p "$work/x" "$toolchain/lib/rustlib/src/rust"
    dpkg --fsys-tarfile "$work"/debs/rust-src_*.deb | tar -x -C "$work/x" "./usr/src/rustc-$stock/library"
    rm -rf "$toolchain/lib/rustlib/src/rust/library"
    mv "$work/x/usr/src/rustc-$stock/library" "$toolchain/lib/rustlib/src/rust/library"
}

# Compiler, its libraries and std's source from one release of Debian's.
from_security() {
    local deb name
    [ -n "$security_mirror" ] || { echo 'set DEBIAN_SECURITY_MIRROR' >&2; return 1; }
    # shellcheck disable=SC2086 # the list is split on purpose
    fetch "$(archive "$mirror" bookworm; archive "$security_mirror" bookworm-security)" $security_packages || return 1
    rm -rf "$toolchain"
    mkdir -p "$toolchain"
    for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$toolchain/debian"; done
    mkdir "$toolchain/bin"
    for name in rustc cargo rustdoc; do
        printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$toolchain/debian/usr/lib/x86_64-linux-gnu" "$toolchain/debian/usr/bin/$name" \
            >"$toolchain/bin/$name"
        chmod +x "$toolchain/bin/$name"
    done
    # The place where a toolchain has its libraries; the source is linked from there.
    ln -s debian/usr/lib "$toolchain/lib"
    [ -e "$toolchain/lib/rustlib/src/rust/library/Cargo.lock" ]
}

if [ ! -e "$toolchain/.compiler" ]; then
    case ${CROSS_FROM:-} in
        "") from_stock || { echo "rust-src $stock is not to be had: compiler and source of bookworm-security instead" >&2; from_security; } ;;
        security) from_security ;;
        *) echo 'CROSS_FROM is "security" or unset' >&2; exit 1 ;;
    esac
    rm -rf "$work/x" "$work/debs" "$work/apt"
    "$toolchain/bin/rustc" --version >/dev/null # a half-copied one is made anew the next time
    touch "$toolchain/.compiler"
fi
library=$toolchain/lib/rustlib/src/rust/library
release=$("$toolchain/bin/rustc" --version | cut -d' ' -f2)

# std for each target that the compiler did not come with: made beside its place, so that it is there whole or not at all.
for target in "$@"; do
    place=$toolchain/lib/rustlib/$target
    [ -d "$place" ] && { echo "$target: already there"; continue; }
    seed=$work/seed-$target
    rm -rf "$seed"
    mkdir -p "$seed/src" "$seed/new/lib"
    printf '[package]\nname="seed"\nversion="0.0.0"\nedition="2021"\n' >"$seed/Cargo.toml"
    : >"$seed/src/lib.rs"
    (
        cd "$seed"
        export PATH="$toolchain/bin:$PATH" RUSTC="$toolchain/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$seed/target"
        export CARGO_PROFILE_RELEASE_DEBUG=0 RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$library=/rustc/$release/library"
        RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=crates"
        "$toolchain/bin/cargo" build -q --release --target "$target" -Zbuild-std=std,panic_unwind,panic_abort,test,proc_macro \
            -Zbuild-std-features=panic-unwind,backtrace
        for part in "$seed/target/$target"/release/deps/*.rlib; do
            case ${part##*/} in libseed-*) ;; *) cp "$part" new/lib/ ;; esac
        done
        # The two objects around a Windows program, which build-std does not make.
        case $target in *-pc-windows-gnu)
            for object in rsbegin rsend; do
                "$RUSTC" --target "$target" -Cpanic=abort -O --emit=obj -L new/lib -o "new/lib/$object.o" "$library/rtstartup/$object.rs"
            done
            ;;
        esac
    )
    mv "$seed/new" "$place"
    rm -rf "$seed"
    echo "$target: built with $release, $(du -sh "$place" | cut -f1)"
done
rustup toolchain link sealagent-cross "$toolchain"
