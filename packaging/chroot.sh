#!/usr/bin/env bash
# chroot.sh [--net] ROOT COMMAND...  - runs a command in a file system of its own, with /proc and /dev, in namespaces that end with it:
# no mount and no process stays behind. Without --net it has a loopback of its own and nothing else. Root only.
set -euo pipefail
net=(--net)
[ "$1" != --net ] || { net=(); shift; }
exec unshare --mount --pid --ipc "${net[@]}" --fork --kill-child bash -euc '
    root=$1 own_net=$2
    shift 2
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --make-rslave "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    [ -z "$own_net" ] || ip link set lo up
    exec chroot "$root" "$@"
' - "$1" "${net[*]-}" "${@:2}"
