#!/bin/bash
# What check-msi.sh runs inside a Debian with Wine of both widths, as a user without rights: check-msi-inside.sh NEW, with the
# packages, the test programs and the demo's stage beside it.
set -euo pipefail
new=$1
cd "$(dirname "$0")"
here=$PWD
export WINEPREFIX=$HOME/wp WINEDEBUG=${WINEDEBUG:--all} LANG=C.UTF-8 DISPLAY=:7 WINEDLLOVERRIDES="mscoree,mshtml="
say() { printf '%s\n' "· $*"; }
fail() { printf '%s\n' "FAILED: $*" >&2; import -window root failed.png 2>/dev/null || true; exit 1; }
# The 64-bit loader, as Windows starts 64-bit programs from 64-bit ones; 32-bit ones follow by themselves.
wine() { /usr/lib/wine/wine64 "$@"; }
Xvfb :7 -screen 0 1024x768x24 -nolisten tcp -noreset >/dev/null 2>&1 &

programs="$WINEPREFIX/drive_c/Program Files/sealagent"
data=$WINEPREFIX/drive_c/ProgramData/sealagent
port=17333
pin=$(sed -n 's/^│ DEMO-UKEY: //p' demo.txt | head -1)
esid=$(grep -oE '\b44030000[0-9]+\b' demo.txt | head -1)

# 0, or the error: the shell sees its lowest 8 bits.
install() { local code=0; wine msiexec "$@" /qn || code=$?; return $code; }
value() { wine reg query "$1" /v "$2" /reg:64 2>/dev/null | tr -d '\r' | sed -n "s/^ *$2 *REG_[A-Z]* *//p"; }
running() { pgrep -f 'sealagent[a-z0-9-]*\.exe' | grep -c . || true; }
# A line for each value, without times; what Wine writes about the hardware that it finds at each start is left out. The policy stays by
# design, and so does Windows Installer's note that it may not be removed.
snapshot() {
    wineserver -w
    for hive in system user; do
        awk '/^\[/ {key = $0; sub(/\] [0-9]+$/, "]", key); next} /^[#;]/ || $0 == "" {next} {print key " " $0}' "$WINEPREFIX/$hive.reg" |
            grep -v -e '^\[System\\\\[^]]*\\\\\(Enum\|Class\|Video\|DeviceClasses\|DeviceContainers\)\\\\' -e NetworkCards -e MenuFiles -e '^\[Hardware' \
                -e 'Components.*ProgramData.*sealagent.*policy.toml' >"$1-$hive.reg" || true
    done
    (cd "$WINEPREFIX/drive_c" && find . \( -path ./ProgramData/sealagent -o -path './users/*/Temp' -o -path ./windows/temp -o -path ./windows/Installer \) -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum; find . -type d | grep -v -e ProgramData/sealagent -e '^./windows/Installer' -e '/Temp/' | sort) >"$1-files"
}

say "a new Windows"
wine wineboot -i >/dev/null 2>&1
cp bcryptprimitives64.dll "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll"
cp bcryptprimitives32.dll "$WINEPREFIX/drive_c/windows/syswow64/bcryptprimitives.dll"
snapshot before

say "silent installation with properties"
install /i old.msi 'ORIGINS=https://sign.example;https://b.example' PORT=$port REGIONS=shenzhen=$(printf '0a%.0s' $(seq 32)) || fail "msiexec: $?"
for program in sealagent sealagent-prompt sealagent-preview sealagent-start sealagent-worker sealagent-worker32; do
    [ -f "$programs/$program.exe" ] || fail "$program.exe was not installed"
done
[ "$(value 'HKLM\Software\sealagent' Origins)" = 'https://sign.example;https://b.example' ] || fail "ORIGINS was not kept"
[ "$(value 'HKLM\Software\Microsoft\Windows\CurrentVersion\Run' sealagent)" = '"C:\Program Files\sealagent\sealagent-start.exe"' ] ||
    fail "no autostart: $(value 'HKLM\Software\Microsoft\Windows\CurrentVersion\Run' sealagent)"
[ -f "$data/policy.toml" ] || fail "no policy"

say "a policy that is not an administrator's stops the agent (files under Wine belong to its user)"
if wine "$programs/sealagent.exe" tokens >refused.txt 2>&1; then fail "the policy of a user was obeyed"; fi
grep -q policy.toml refused.txt || { cat refused.txt; fail "it stopped for another reason"; }
mv "$data/policy.toml" policy.kept
# What IT would say by Group Policy instead.
wine reg add 'HKLM\Software\Policies\sealagent' /v UserDrivers /t REG_DWORD /d 1 /f /reg:64 >/dev/null

user=$WINEPREFIX/drive_c/users/tester/AppData/Roaming/sealagent
mkdir -p "$user" "$WINEPREFIX/drive_c/Program Files/vendor"
cp vendor_skf.dll "$WINEPREFIX/drive_c/Program Files/vendor/"
cp -r demo/tokens "$WINEPREFIX/drive_c/users/tester/tokens"
cp -r demo/tokens "$WINEPREFIX/drive_c/users/tester/tokens32"
printf '{"folder": "C:\\\\users\\\\tester\\\\tokens32"}' >"$WINEPREFIX/drive_c/users/tester/skf.json"
export UKEY_VIRTUAL_SKF='C:\users\tester\skf.json'

ask() { # ask METHOD PATH [TYPE FILE]: the answer's body; its status in $status
    { printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nOrigin: https://sign.example\r\nConnection: close\r\n' "$1" "$2" "$port"
      [ $# -lt 4 ] || printf 'Content-Type: %s\r\nContent-Length: %s\r\n' "$3" "$(stat -c %s "$4")"
      printf '\r\n'
      [ $# -lt 4 ] || cat "$4"; } | wine tcp.exe "$port" >answer.raw || true
    status=$(head -1 answer.raw | cut -d' ' -f2)
    sed '1,/^\r$/d' answer.raw >answer.body
}
start() {
    wine "$programs/sealagent-start.exe"
    for _ in $(seq 60); do ask GET /v1/info; [ "$status" = 200 ] && return; sleep 0.5; done
    cat answer.raw; fail "the agent does not answer on port $port"
}
stop() { wine taskkill /F /IM sealagent.exe >/dev/null 2>&1 || true; for _ in $(seq 50); do [ "$(running)" = 0 ] && return; sleep 0.2; done; fail "the agent does not end"; }

sign() { # sign NAME: a page asks, a person types the PIN into the window
    local name=$1 document signature state
    ask POST "/v1/documents?name=contract.ofd" application/ofd contract.ofd
    document=$(jq -r .documentId answer.body) || true
    [ "$status" = 200 ] || [ "$status" = 201 ] || { cat answer.raw; fail "upload"; }
    jq -n --arg d "$document" --arg s "$esid" --arg k "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" \
        '{items: [{documentId: $d, seal: $s, stamp: {kind: "page", pages: [1], x: 50, y: 188}}], idempotencyKey: $k}' >request.json
    cp request.json "request-$name.json"
    ask POST /v1/signatures application/json request.json
    signature=$(jq -r .signatureId answer.body) || true
    [ "$status" = 202 ] || { cat answer.raw; fail "request"; }
    # Asking for the state is what tells the agent that the page is still there.
    for _ in $(seq 60); do
        window=$(xdotool search --onlyvisible --name sealagent 2>/dev/null | head -1 || true)
        [ -z "$window" ] || break
        ask GET "/v1/signatures/$signature"
    done
    [ -n "$window" ] || { ask GET "/v1/signatures/$signature"; cat answer.raw; fail "no prompt window"; }
    sleep 3
    import -window root "prompt-$name.png" || true
    xdotool windowfocus --sync "$window" || true
    sleep 2
    xdotool type --delay 80 "$pin"
    sleep 0.5
    import -window root "typed-$name.png" || true
    xdotool key Return
    for _ in $(seq 60); do
        ask GET "/v1/signatures/$signature"
        state=$(jq -r .state answer.body 2>/dev/null || true)
        case $state in done) break ;; waiting | signing | '') sleep 0.5 ;; *) cat answer.raw; fail "the request ended as $state" ;; esac
    done
    [ "$state" = done ] || { cat answer.raw; fail "no signature, state $state"; }
    ask GET "/v1/signatures/$signature/documents/$document"
    [ "$status" = 200 ] || { cat answer.raw; fail "download"; }
    cp answer.body "sealed-$name.ofd"
}

say "a page signs with the virtual UKey, the person in the window"
printf "[[driver]]\nkind = 'virtual'\nlibrary = 'C:\\\\users\\\\tester\\\\tokens'\n" >"$user/config.toml"
start
sign virtual
stop

say "a page signs with an SKF library of 32 bits in the 32-bit worker"
printf "[[driver]]\nkind = 'skf'\nlibrary = 'C:\\\\Program Files\\\\vendor\\\\vendor_skf.dll'\n" >"$user/config.toml"
start
sign skf32
pgrep -f 'sealagent-worker32\.exe' >/dev/null || fail "another worker hosts the library"

say "upgrade while it runs; what was said before is kept, a changed policy too"
echo '# changed by IT' | cat policy.kept - >"$data/policy.toml"
install /i new.msi || fail "msiexec: $?"
[ "$(running)" = 0 ] || fail "the old agent still runs"
[ "$(value 'HKLM\Software\sealagent' Version)" = "$new" ] || fail "the version"
[ "$(value 'HKLM\Software\sealagent' Origins)" = 'https://sign.example;https://b.example' ] || fail "ORIGINS did not survive"
[ "$(value 'HKLM\Software\sealagent' Port)" = $port ] || fail "PORT did not survive"
tail -1 "$data/policy.toml" | grep -q 'changed by IT' || fail "the upgrade changed the policy"
[ "$(wine reg query 'HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall' /s /reg:64 2>/dev/null | grep -c 'DisplayName.*sealagent')" = 1 ] || fail "not one entry"
mv "$data/policy.toml" policy.kept
start
stop

say "a downgrade is refused"
if install /i old.msi; then fail "the older version was installed over the newer"; fi
[ "$(value 'HKLM\Software\sealagent' Version)" = "$new" ] || fail "the version"

say "repair"
rm "$programs/sealagent-worker.exe"
install /i new.msi REINSTALL=ALL REINSTALLMODE=amus || fail "msiexec: $?"
[ -f "$programs/sealagent-worker.exe" ] || fail "the worker was not put back"

say "removal while it runs"
rm -f "$data/policy.toml"
start
mv policy.kept "$data/policy.toml"
install /x new.msi || fail "msiexec: $?"
for _ in $(seq 50); do [ "$(running)" = 0 ] && break; sleep 0.2; done
[ "$(running)" = 0 ] || fail "a process is left: $(pgrep -af sealagent)"
[ -f "$data/policy.toml" ] || fail "IT's policy was removed"
wine reg delete 'HKLM\Software\Policies\sealagent' /f /reg:64 >/dev/null
rm -rf "$user" "$WINEPREFIX/drive_c/Program Files/vendor" "$WINEPREFIX/drive_c/users/tester/"{tokens,tokens32,skf.json} \
    "$WINEPREFIX/drive_c/users/tester/AppData/Local/sealagent"
snapshot after
diff before-files after-files || fail "files are not what they were"
diff before-system.reg after-system.reg || fail "the machine's registry is not what it was"
diff before-user.reg after-user.reg || fail "the user's registry is not what it was"

say "without autostart, when that is asked"
install /i new.msi AUTOSTART=0 || fail "msiexec: $?"
[ -z "$(value 'HKLM\Software\Microsoft\Windows\CurrentVersion\Run' sealagent)" ] || fail "AUTOSTART=0 was not heard"
install /x new.msi || fail "msiexec: $?"
wineserver -k || true
say "nothing is left"
