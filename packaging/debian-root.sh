#!/usr/bin/env bash
# debian-root.sh NAME [--i386] [PACKAGE...]  - makes sure that $cache/NAME is a bare Debian 12 with these packages, and prints its path.
# It is made once; another list of packages makes it anew. Root only.
source "$(dirname "$0")/places.sh"
name=$1 foreign=
shift
[ "${1-}" != --i386 ] || { foreign=yes; shift; }
there=$cache/$name
if [ "$(cat "$there/.packages" 2>/dev/null)" != "$foreign $*" ]; then
    say "Debian 12 for $name" >&2
    rm -rf "$there"
    mirror=${DEBIAN_MIRROR:-$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -1 | tr -d ' ' || true)}
    [ -n "$mirror" ] || fail "set DEBIAN_MIRROR"
    # The release alone, without its updates: both architectures then have the same versions.
    debootstrap --variant=minbase bookworm "$there" "$mirror" >&2
    if [ $# -gt 0 ]; then
        [ -z "$foreign" ] || chroot "$there" dpkg --add-architecture i386
        "$root/packaging/chroot.sh" --net "$there" sh -euc '
            apt-get update -q
            DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
            apt-get clean' - "$@" >&2
    fi
    echo "$foreign $*" >"$there/.packages"
fi
printf '%s\n' "$there"
