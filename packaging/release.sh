#!/usr/bin/env bash
# release.sh SEQUENCE  - everything of one release into $out/release: packages, bill of materials, checksums, update manifest. With
# RELEASE_KEY (an SM2 private key in a file, or a pkcs11: address with a provider for it) checksums and manifest get detached signatures,
# which `openssl` and `sealagent update check` verify. Programs and MSI are signed for Windows by the command in SIGN (msi.sh).
source "$(dirname "$0")/places.sh"
cd "$root/packaging"
sequence=${1:?usage: release.sh SEQUENCE}
./deb.sh amd64 arm64
./msi.sh
release=$out/release
rm -rf "$release"
mkdir -p "$release"
cp "$out"/*_"$version"-1_*.deb "$out/sealagent-$version-x64.msi" "$release/"
cp "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/packaging/sealagent.cdx.json" "$release/sealagent-$version-linux.cdx.json"
cp "$CARGO_TARGET_DIR/x86_64-pc-windows-gnu/release/packaging/sealagent.cdx.json" "$release/sealagent-$version-windows.cdx.json"
./seal-release.sh "$release" "$sequence"
