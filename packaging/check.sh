#!/usr/bin/env bash
# check.sh               the slow checks of the packages: check-release.sh, check-deb.sh, check-msi.sh
# check.sh --if-changed  the same, unless their inputs are those that check.stamp was written for; then says so
# check.sh --stamp       the same, and writes check.stamp: digest of the inputs and what was said
# Inputs are this folder, Cargo.lock and the version: changes of other sources do not ask for half an hour of packaging.
# Root only (chroots); from nothing it takes some 30 minutes on two cores, later about 10.
source "$(dirname "$0")/places.sh"
cd "$root"
stamp=packaging/check.stamp

inputs() {
    {
        find packaging -type f -not -path "$stamp" -print0 | sort -z | xargs -0 sha256sum
        sha256sum Cargo.lock
        echo "$version"
    } | sha256sum | cut -d' ' -f1
}

case ${1-} in
    --if-changed)
        if [ "$(head -1 "$stamp" 2>/dev/null)" = "inputs $(inputs)" ]; then
            say "packages: not checked again; inputs are those of $stamp, which ended:"
            tail -4 "$stamp"
            exit 0
        fi
        ;;
    --stamp | "") ;;
    *) fail "usage: check.sh [--if-changed|--stamp]" ;;
esac

log=$out/check.log
before=$(inputs)
{
    packaging/check-release.sh
    packaging/check-deb.sh
    packaging/check-msi.sh
} 2>&1 | tee "$log"
if [ "${1-}" = --stamp ]; then
    # What the checks say they did, and neither what programs said beside it nor this machine's places, so that two runs can be compared.
    { echo "inputs $before"; grep -a '^· ' "$log" | sed -e "s|$out/||g; s|$cache/||g; s|$root/||g"; } >"$stamp"
fi
