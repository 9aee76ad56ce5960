#!/usr/bin/env bash
# msi.sh  - the Windows package: $out/sealagent-VERSION-x64.msi. All programs are 64-bit; a second worker is built for 32-bit vendor
# libraries. MSI_VERSION gives it another version (check-msi.sh makes an older one of the same files).
source "$(dirname "$0")/places.sh"
cd "$root/packaging"
number=${MSI_VERSION:-$version}
./build.sh x86_64-pc-windows-gnu i686-pc-windows-gnu
./companions.sh x86_64-pc-windows-gnu

stage=$out/msi-files
rm -rf "$stage"
mkdir -p "$stage"
wide=$CARGO_TARGET_DIR/x86_64-pc-windows-gnu/release
for program in sealagent sealagent-start sealagent-prompt sealagent-preview sealagent-worker; do cp "$wide/$program.exe" "$stage/"; done
cp "$CARGO_TARGET_DIR/i686-pc-windows-gnu/release/sealagent-worker.exe" "$stage/sealagent-worker32.exe"
cp "$wide/packaging/sealagent.cdx.json" "$stage/sbom.cdx.json"
cp "$wide/packaging/licences.txt" "$stage/"
# Signing, when there is a key: programs first, the package last. SIGN is a command that takes one file and signs it in place.
[ -z "${SIGN-}" ] || for program in "$stage"/*.exe; do $SIGN "$program"; done
cp -r msi/sealagent.wxs msi/admx browser-policy policy.toml "$stage/"
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# A product code for each content, and the same one for the same content.
uuid() {
    local hex
    hex=$(printf '%s' "$1" | sha256sum | tr a-f A-F)
    printf '%s-%s-5%s-A%s-%s' "${hex:0:8}" "${hex:8:4}" "${hex:13:3}" "${hex:17:3}" "${hex:20:12}"
}
contents=$number$(cd "$stage" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
msi=$out/sealagent-$number-x64.msi
rm -f "$msi"
# wixl finds files beside its source alone.
(cd "$stage" && wixl -a x64 -D Version="$number" -D ProductCode="$(uuid "product $contents")" -o "$msi" sealagent.wxs)
sql() { msibuild "$msi" -q "$1"; }

# Names longer than 8.3 need a short one before them, which wixl does not make.
short=0
for table in File Directory Shortcut; do
    field=$(case $table in File) echo FileName ;; Directory) echo DefaultDir ;; Shortcut) echo Name ;; esac)
    while IFS=$'\t' read -r key name; do
        short=$((short + 1))
        extension=${name##*.}
        [ "$extension" != "$name" ] || extension=
        extension=${extension:0:3}
        sql "UPDATE $table SET $field = 'SEAL~$short${extension:+.${extension^^}}|$name' WHERE $table = '$key'"
    done < <(msiinfo export "$msi" $table | tr -d '\r' | tail -n +4 | awk -F'\t' '$3 != "." && $3 != "SourceDir" {print $1 "\t" $3}')
done
# 16 permanent and 128 never overwritten: IT's policy file stays at update and removal.
attributes=$(msiinfo export "$msi" Component | awk -F'\t' '$1 == "Policy" {print $4}')
sql "UPDATE Component SET Attributes = $((attributes | 16 | 128)) WHERE Component = 'Policy'"
sql "UPDATE Component SET Condition = 'AUTOSTART <> \"0\"' WHERE Component = 'Autostart'"
# Properties that an elevated installation takes from the command line.
secure=$(msiinfo export "$msi" Property | awk -F'\t' '$1 == "SecureCustomProperties" {gsub("\r", ""); print $2}')
given="AUTOSTART;INSTALLDIR;ORIGINS;PORT;REGIONS"
if [ -n "$secure" ]; then
    sql "UPDATE Property SET Value = '$secure;$given' WHERE Property = 'SecureCustomProperties'"
else
    sql "INSERT INTO Property (Property, Value) VALUES ('SecureCustomProperties', '$given')"
fi
# 51: set a property from another; before anything is costed, and only where the command line said nothing.
at=60
for name in ORIGINS PORT REGIONS AUTOSTART; do
    sql "INSERT INTO CustomAction (Action, Type, Source, Target) VALUES ('Keep$name', 51, '$name', '[OLD$name]')"
    sql "INSERT INTO InstallExecuteSequence (Action, Condition, Sequence) VALUES ('Keep$name', 'OLD$name AND NOT $name', $at)"
    at=$((at + 1))
done
# 34 a program under a folder, 64 whatever it says, 1024 deferred, 2048 as the system: agents end before their files go. The program is
# Windows' own, named by the folder that Windows names.
# The agent first, or it would start its workers again.
stop() {
    sql "INSERT INTO CustomAction (Action, Type, Source, Target) VALUES ('$1', 3170, 'System64Folder', '[System64Folder]taskkill.exe /F $3')"
    sql "INSERT INTO InstallExecuteSequence (Action, Condition, Sequence) VALUES ('$1', 'REMOVE=\"ALL\"', $2)"
}
stop StopAgents 1510 "/IM sealagent.exe"
stop StopWorkers 1511 "$(cd "$stage" && printf '/IM %s ' sealagent-*.exe)"
# System and administrators write the policy's folder, users read it. Users could have made a folder of that name before.
table=$out/MsiLockPermissionsEx.idt
printf 'MsiLockPermissionsEx\tLockObject\tTable\tSDDLText\tCondition\r\ns72\ts72\ts32\ts0\tS255\r\nMsiLockPermissionsEx\tMsiLockPermissionsEx\r\n' >"$table"
printf 'PolicyDirAcl\tPolicyDir\tCreateFolder\tO:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)\t\r\n' >>"$table"
printf 'PolicyFileAcl\tPolicyToml\tFile\tO:BAD:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;BU)\t\r\n' >>"$table"
msibuild "$msi" -i "$table"
rm "$table"
# The package's own code, which wixl draws by lot.
msibuild "$msi" -s sealagent "sealagent maintainers" "x64;1033" "{$(uuid "package $contents")}"
# When it was created and last saved: the one time of all files.
table=$out/_SummaryInformation.idt
moment=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y/%m/%d %H:%M:%S')
msiinfo export "$msi" _SummaryInformation | sed -E "s#^(12|13)\t.*#\1\t$moment\r#" >"$table"
msibuild "$msi" -i "$table"
rm "$table"
[ -z "${SIGN-}" ] || $SIGN "$msi"
say "$msi"
