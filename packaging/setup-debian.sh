#!/bin/sh
# Installs the Debian packages that building and checking the packages needs; nothing when all are there. Root, or sudo.
set -eu
packages="gcc gcc-aarch64-linux-gnu gcc-mingw-w64-i686 gcc-mingw-w64-x86-64 libc6-dev libc6-dev-arm64-cross libpcsclite-dev pkg-config"
packages="$packages debootstrap file gzip iproute2 lintian man-db msitools openssl osslsigncode qemu-user-static wixl xz-utils zstd"
missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
as_root=""
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "Installing:$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086 # the list is split on purpose
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
