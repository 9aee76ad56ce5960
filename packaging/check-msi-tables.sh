#!/usr/bin/env bash
# check-msi-tables.sh FILE.msi  - what the tables must say; wixl drops what it does not know without a word.
source "$(dirname "$0")/places.sh"
msi=$1
rows() { msiinfo export "$msi" "$1" | tr -d '\r' | tail -n +4; }
cell() { rows "$1" | awk -F'\t' -v key="$2" -v column="$3" '$1 == key {print $column}'; }
is() { [ "$2" = "$3" ] || fail "$1 is \"$2\", not \"$3\""; }

say "tables of ${msi##*/}"
for program in sealagent sealagent-prompt sealagent-preview sealagent-start sealagent-worker sealagent-worker32; do
    rows File | cut -f3 | grep -qE "(^|\|)$program\.exe\$" || fail "$program.exe is not in it"
done
is "the policy's component" $(($(cell Component Policy 4) & 144)) 144
is "the policy's folder" "$(rows MsiLockPermissionsEx | awk -F'\t' '$1 == "PolicyDirAcl" {print $4}')" \
    'O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)'
rows CreateFolder | cut -f1 | grep -qx PolicyDir || fail "the policy's folder is not made, so it gets no access list"
is "the Run value" "$(rows Registry | awk -F'\t' '$3 ~ /CurrentVersion\\Run$/ {print $5}')" '"[INSTALLDIR]sealagent-start.exe"'
is "the Run value's condition" "$(cell Component Autostart 5)" 'AUTOSTART <> "0"'
# All machine-wide: a user's own hive is never written.
rows Registry | awk -F'\t' '$2 != 2 {exit 1}' || fail "a value outside HKEY_LOCAL_MACHINE"
rows Component | while IFS=$'\t' read -r name _ _ attributes _; do
    [ $((attributes & 256)) -ne 0 ] || fail "$name is a 32-bit component"
done
# Names longer than 8.3 need a short one before them.
{ rows File | cut -f3; rows Directory | cut -f3; rows Shortcut | cut -f3; } | while read -r name; do
    [[ $name =~ ^[^|.]{0,8}(\.[^|.]{1,3})?$|^[^|]+\|.+$|^(SourceDir|\.)$ ]] || fail "$name has no short name"
done
secure=";$(cell Property SecureCustomProperties 2);"
for property in ORIGINS PORT REGIONS AUTOSTART INSTALLDIR; do
    case $secure in *";$property;"*) ;; *) fail "$property is not taken from the command line of an elevated installation" ;; esac
done
is "ALLUSERS" "$(cell Property ALLUSERS 2)" 1
# Attack 49: nothing that runs while installing lies where a user can write; no service, so no unquoted path of one.
rows CustomAction | while IFS=$'\t' read -r name kind source target; do
    case $((kind & 63)) in
        34) is "the folder of $name" "$source" System64Folder; case $target in "[System64Folder]taskkill.exe "*) ;; *) fail "$name runs $target" ;; esac ;;
        51 | 19) ;;
        *) fail "$name is of type $kind" ;;
    esac
done
[ -z "$(rows ServiceInstall 2>/dev/null)" ] || fail "a service"
removing=$(rows InstallExecuteSequence | awk -F'\t' '$1 == "RemoveExistingProducts" {print $3}')
[ -n "$removing" ] || fail "an upgrade would leave the old version"
say "tables: good"
