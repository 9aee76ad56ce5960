#!/usr/bin/env bash
# deb.sh [amd64|arm64]...  - the Debian packages sealagent and sealauthority, into $out (places.sh). Without arguments both.
# DEB_VERSION gives them another version (check-deb.sh makes an older one of the same files).
source "$(dirname "$0")/places.sh"
cd "$root/packaging"

# Pinned, and in the cache: nothing of the machine's own cargo is touched.
if [ "$("$cache/tools/bin/cargo-deb" --version 2>/dev/null)" != 3.8.0 ]; then
    say "cargo-deb"
    cargo install --quiet --locked --root "$cache/tools" --version 3.8.0 cargo-deb
fi

[ $# -gt 0 ] || set -- amd64 arm64
for architecture in "$@"; do
    case $architecture in
        amd64) target=x86_64-unknown-linux-gnu ;;
        arm64) target=aarch64-unknown-linux-gnu ;;
        *) fail "no such architecture: $architecture" ;;
    esac
    ./build.sh "$target"
    ./companions.sh "$target"
    for variant in agent authority; do
        # cargo-deb names an older version only when it is told to.
        "$cache/tools/bin/cargo-deb" --quiet --no-build --no-strip --manifest-path Cargo.toml --target "$target" --variant "$variant" \
            ${DEB_VERSION:+--deb-version "$DEB_VERSION"} --output "$out/"
    done
done
(cd "$out" && ls -- *.deb)
