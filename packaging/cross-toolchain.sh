#!/bin/bash
# cross-toolchain.sh [TARGET...]  - make (or complete) the rustup toolchain "cross195": stock Rust 1.95.0 + its std for TARGETs,
# std built from Debian's rust-src. Safe to run again: finished steps are skipped.
set -euo pipefail
VER=1.95.0
SRC_PKG="rust-src=$VER+dfsg1-2~bpo13+1" SRC_SUITE=trixie-backports
SRC_SHA256=7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b
MIRROR=${DEBIAN_MIRROR:-$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -1 | tr -d ' ' || true)}; [ -n "$MIRROR" ] || { echo 'set DEBIAN_MIRROR' >&2; exit 1; }
TC=${CROSS_TOOLCHAIN_DIR:-$HOME/.local/share/cross195}
[ $# -gt 0 ] || set -- x86_64-pc-windows-gnu i686-pc-windows-gnu
WORK=$TC.work; mkdir -p "$WORK"
exec 9>"$TC.lock"; flock 9 # two builds may want it at once

# 1. a private copy of the stock toolchain (hard links when the file system allows: no extra disk)
if [ ! -x "$TC/bin/rustc" ]; then
  BASE=$(rustc +$VER --print sysroot)
  rm -rf "$TC"; cp -al "$BASE" "$TC" 2>/dev/null || { rm -rf "$TC"; cp -a "$BASE" "$TC"; }
fi
SRC=$TC/lib/rustlib/src/rust/library

# 2. std's source, by an apt client with its own state (the machine's apt is untouched)
if [ ! -e "$SRC/Cargo.lock" ]; then
  A=$WORK/apt; mkdir -p "$A"/{lists/partial,archives/partial}; : > "$A/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $SRC_SUITE main" > "$A/sources.list"
  O=(-o "Dir::State=$A" -o "Dir::State::lists=$A/lists" -o "Dir::State::status=$A/status" -o "Dir::Cache=$A"
     -o "Dir::Etc::sourcelist=$A/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
  apt-get "${O[@]}" -qq update
  (cd "$WORK" && apt-get "${O[@]}" -qq download "$SRC_PKG")
  DEB=$(ls "$WORK"/rust-src_*.deb)
  echo "$SRC_SHA256  $DEB" | sha256sum -c --quiet
  mkdir -p "$WORK/x" "$(dirname "$SRC")"
  dpkg --fsys-tarfile "$DEB" | tar -x -C "$WORK/x" "./usr/src/rustc-$VER/library"
  rm -rf "$SRC"; mv "$WORK/x/usr/src/rustc-$VER/library" "$SRC"
fi

# 3. std for each target, installed where rustc looks for it
for T in "$@"; do
  OUT=$TC/lib/rustlib/$T/lib
  [ -e "$OUT/.done" ] && { echo "$T: already there"; continue; }
  W=$WORK/seed-$T; rm -rf "$W"; mkdir -p "$W/src" "$OUT"
  printf '[package]\nname="seed"\nversion="0.0.0"\nedition="2021"\n' > "$W/Cargo.toml"; : > "$W/src/lib.rs"
  ( cd "$W"
    export PATH="$TC/bin:$PATH" RUSTC="$TC/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$W/target"
    export CARGO_PROFILE_RELEASE_DEBUG=0 RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$SRC=/rustc/$VER/library"
    "$TC/bin/cargo" build -q --release --target "$T" -Zbuild-std=std,panic_unwind,panic_abort,test,proc_macro \
       -Zbuild-std-features=panic-unwind,backtrace
    for f in "$W/target/$T"/release/deps/*.rlib; do case ${f##*/} in libseed-*) ;; *) cp "$f" "$OUT/";; esac; done
    case $T in *-pc-windows-gnu) for o in rsbegin rsend; do
      "$TC/bin/rustc" --target "$T" -Cpanic=abort -O --emit=obj -L "$OUT" -o "$OUT/$o.o" "$SRC/rtstartup/$o.rs"; done;; esac )
  rm -rf "$W"; touch "$OUT/.done"; echo "$T: built, $(du -sh "$OUT" | cut -f1)"
done
rustup toolchain link cross195 "$TC"
