#!/usr/bin/env bash
# Builds the Windows package, reads its tables, and tries it under Wine as IT would: silent installation of an older version with
# properties; the agent signs for a page with the virtual UKey, and with an SKF library of 32 bits in the 32-bit worker; upgrade while it
# runs, refused downgrade, repair, removal while it runs; registry and files are compared before and after. Wine is not Windows: what
# only Windows can show stands in docs/deployment.md. Root only (chroot).
source "$(dirname "$0")/places.sh"
cd "$root/packaging"
[ "$(id -u)" -eq 0 ] || fail "root is needed for a chroot"
../scripts/setup-debian.sh --packaging
old=0.0.9 new=$version

MSI_VERSION=$old ./msi.sh >/dev/null
./msi.sh >/dev/null
./check-msi-tables.sh "$out/sealagent-$new-x64.msi"

say "the same input gives the same tables and files"
SEALAGENT_PACKAGING_OUT=$out/again ./msi.sh >/dev/null
for msi in "$out" "$out/again"; do
    mkdir -p "$msi/tables"
    for table in $(msiinfo tables "$msi/sealagent-$new-x64.msi"); do msiinfo export "$msi/sealagent-$new-x64.msi" "$table" >"$msi/tables/$table"; done
    msiinfo suminfo "$msi/sealagent-$new-x64.msi" >"$msi/tables/summary"
    msiextract -C "$msi/tables/files" "$msi/sealagent-$new-x64.msi" >/dev/null
done
diff -r "$out/tables" "$out/again/tables"
rm -rf "$out/tables" "$out/again"

say "a region, a UKey and a contract"
stage=$cache/wine-stage
rm -rf "$stage"
mkdir -p "$stage"
linux=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release
./build.sh x86_64-unknown-linux-gnu
"$linux/sealagent" demo --headless --folder "$stage/demo" >"$stage/demo.txt" 2>&1 || { cat "$stage/demo.txt"; fail "the demo"; }
find "$stage/demo" -maxdepth 1 -name "*.ofd" -not -name signed.ofd -exec cp {} "$stage/contract.ofd" \;
# The module for tests as a vendor's library of 32 bits.
cp "$CARGO_TARGET_DIR/i686-pc-windows-gnu/release/ukey_virtual_skf.dll" "$stage/vendor_skf.dll"
file "$stage/vendor_skf.dll" | grep -q 'PE32 ' || fail "the test module is not 32-bit"
x86_64-w64-mingw32-gcc -O2 -shared -s -o "$stage/bcryptprimitives64.dll" wine/bcryptprimitives.c -ladvapi32
i686-w64-mingw32-gcc -O2 -shared -s -Wl,--kill-at -o "$stage/bcryptprimitives32.dll" wine/bcryptprimitives.c -ladvapi32
x86_64-w64-mingw32-gcc -O2 -s -o "$stage/tcp.exe" wine/tcp.c -lws2_32
cp "$out/sealagent-$old-x64.msi" "$stage/old.msi"
cp "$out/sealagent-$new-x64.msi" "$stage/new.msi"
cp check-msi-inside.sh "$stage/"

there=$(./debian-root.sh wine-root --i386 wine wine64 wine32:i386 procps xvfb xauth xdotool x11-utils imagemagick fonts-wqy-microhei jq)
chroot "$there" id tester >/dev/null 2>&1 || chroot "$there" useradd --create-home tester
rm -rf "$there/home/tester/"{wp,stage,.cache,.config,.local}
cp -r "$stage" "$there/home/tester/stage"
chroot "$there" chown -R tester: /home/tester/stage
./chroot.sh "$there" su tester -c "cd /home/tester/stage && bash check-msi-inside.sh $new" || {
    cp "$there/home/tester/stage/"*.png "$out/" 2>/dev/null || true
    fail "under Wine"
}
say "the documents that Windows programs sealed verify on Linux"
"$linux/sealagent" verify --trust "$stage/demo/data/trust" "$there/home/tester/stage/"sealed-*.ofd
rm -rf "$there/home/tester/wp"
say "Windows package: good"
