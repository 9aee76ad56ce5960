#!/usr/bin/env bash
# Builds the Debian packages and tries them as IT would: lintian; then in a bare Debian 12 an older version is installed, a fresh user
# runs the demo's signing, the policy is changed, the new version comes over it while an agent runs, all is purged, and the file system
# is what it was. Then the arm64 programs run under qemu. Root only (chroot).
source "$(dirname "$0")/places.sh"
cd "$root/packaging"
[ "$(id -u)" -eq 0 ] || fail "root is needed for a chroot"
../scripts/setup-debian.sh --packaging
new=$version-1 old=0.0.9-1

./deb.sh amd64 arm64 >/dev/null
SEALAGENT_PACKAGING_OUT=$out/old DEB_VERSION=$old ./deb.sh amd64 >/dev/null

say "the same input gives the same packages"
SEALAGENT_PACKAGING_OUT=$out/again ./deb.sh amd64 arm64 >/dev/null
for package in "$out"/*_"$new"_*.deb; do
    cmp "$package" "$out/again/${package##*/}"
done
rm -rf "$out/again"

say "lintian"
lintian --fail-on error,warning "$out"/*_"$new"_*.deb

say "no program asks for a newer glibc than the packages name"
for architecture in amd64 arm64; do
    unpacked=$(mktemp -d)
    for package in sealagent sealauthority; do dpkg-deb -x "$out/${package}_${new}_$architecture.deb" "$unpacked"; done
    highest=$(find "$unpacked" -type f -perm -100 -exec sh -c 'objdump -T "$1" 2>/dev/null || aarch64-linux-gnu-objdump -T "$1" 2>/dev/null' - {} \; |
        grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1)
    [ "$(printf '%s\n' "$highest" GLIBC_2.35 | sort -V | tail -1)" = GLIBC_2.35 ] || fail "$architecture needs $highest"
    # Folders of the home, not the home itself: root's is a part of names that are no paths.
    if grep -rlaF -e "$root/" -e "${CARGO_HOME:-$HOME/.cargo}/" -e "$HOME/.local/" -e "$cache/" "$unpacked" | grep .; then fail "a path of this machine is in them"; fi
    if [ "$architecture" = arm64 ]; then
        qemu-aarch64-static -L /usr/aarch64-linux-gnu "$unpacked/usr/libexec/sealagent/sealagent" --version
        qemu-aarch64-static -L /usr/aarch64-linux-gnu "$unpacked/usr/bin/sealauthority" --version
    fi
    rm -rf "$unpacked"
done

base=$(./debian-root.sh deb-base fonts-wqy-microhei)
there=$cache/deb-root
rm -rf "$there"
cp -a "$base" "$there"
cp "$out/old/"*_"$old"_amd64.deb "$out/"*_"$new"_amd64.deb "$there/root/"
cp check-deb-inside.sh "$there/root/"
./chroot.sh --net "$there" bash /root/check-deb-inside.sh "$old" "$new"
rm -rf "$there"
say "Debian packages: good"
