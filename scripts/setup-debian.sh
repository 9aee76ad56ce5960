#!/bin/sh
# Installs the Debian packages that are missing for building and the demo; with --test, for the tests too; with --packaging, for
# building and checking the packages.
# Does nothing, and needs no rights, when all are there.
set -eu

# A linker and C headers for the Rust toolchain; the smart card client library that the PC/SC driver links; a font with Chinese
# characters for drawn seals.
packages="gcc libc6-dev pkg-config libpcsclite-dev fonts-noto-cjk"
case "${1-}" in
    "") ;;
    # The judges of what we make: OpenSSL's program and library, Bouncy Castle with a Java compiler, PDF tools, Python for pyHanko.
    # An X server and a keyboard for the prompt. A card service with a virtual reader, and modules to hold our drivers against.
    --test)
        packages="$packages openssl libssl-dev openjdk-17-jdk-headless libbcpkix-java qpdf poppler-utils mupdf-tools groff ghostscript fop python3-venv"
        packages="$packages xvfb libxkbcommon-x11-0 xdotool pcscd vsmartcard-vpcd opensc softhsm2 curl imagemagick"
        # A pinentry that asks on a terminal.
        packages="$packages pinentry-tty"
        # The verification service behind a load balancer, and another's reader of its metrics.
        packages="$packages nginx-light python3-prometheus-client"
        # The database that an authority may keep its records in; the tests start their own server.
        packages="$packages postgresql"
        # The agent for Windows, as far as a check goes: its TLS has parts in C.
        packages="$packages gcc-mingw-w64-x86-64"
        # The browsers that pages run in. Node may come from elsewhere than Debian, with npm in the same package.
        packages="$packages chromium firefox-esr"
        if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
            packages="$packages nodejs npm"
        fi
        ;;
    # Compilers for the other targets, what makes and reads .deb and .msi, what runs them.
    --packaging)
        packages="$packages gcc-aarch64-linux-gnu gcc-mingw-w64-i686 gcc-mingw-w64-x86-64 libc6-dev-arm64-cross"
        packages="$packages debootstrap file gzip iproute2 lintian man-db msitools openssl osslsigncode qemu-user-static wixl xz-utils zstd"
        ;;
    *)
        echo "usage: $0 [--test|--packaging]" >&2
        exit 2
        ;;
esac

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is not found. Install a Rust toolchain (1.92 or newer) and put it on the PATH." >&2
    echo "提示：没有找到 cargo，请先安装 Rust 工具链（1.92 或更新）并加入 PATH。" >&2
    exit 1
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "This is not Debian, so nothing is installed. What must be there, by its Debian names: $packages" >&2
    echo "提示：本系统不是 Debian，不会自动安装。需要具备（Debian 包名）：$packages" >&2
    exit 0
fi

missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "Packages are missing and this user may not install them. As root: apt-get install$missing" >&2
    echo "提示：缺少软件包且当前用户无权安装。请以 root 执行：apt-get install$missing" >&2
    exit 1
fi

echo "Installing:$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086 # the list is split on purpose
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
