#!/usr/bin/env bash
# seal-release.sh FOLDER SEQUENCE  - checksums and update manifest of the files in a folder, signed when RELEASE_KEY is given.
source "$(dirname "$0")/places.sh"
cd "$1"
sequence=$2
rm -f SHA256SUMS* update.json*
mapfile -t files < <(find . -maxdepth 1 -type f -printf '%P\n' | sort)
sha256sum -- "${files[@]}" >SHA256SUMS
# 400 days: a machine that gets no manifest for a year says so.
{
    printf '{"product":"sealagent","sequence":%d,"issued":"%s","expires":"%s","version":"%s","packages":[' "$sequence" \
        "$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)" "$(date -u -d "@$((SOURCE_DATE_EPOCH + 400 * 86400))" +%FT%TZ)" "$version"
    comma=
    for file in "${files[@]}"; do
        case $file in *.deb | *.msi) ;; *) continue ;; esac
        printf '%s{"file":"%s","bytes":%d,"sm3":"%s"}' "$comma" "$file" "$(stat -c %s "$file")" \
            "$(openssl dgst -sm3 -r "$file" | cut -d' ' -f1)"
        comma=,
    done
    printf ']}\n'
} >update.json
if [ -z "${RELEASE_KEY-}" ]; then
    say "no RELEASE_KEY: SHA256SUMS and update.json are not signed"
    exit 0
fi
for file in SHA256SUMS update.json; do
    openssl pkeyutl -sign -rawin -digest sm3 -pkeyopt distid:1234567812345678 -inkey "$RELEASE_KEY" -in "$file" -out "$file.sm2"
    openssl pkeyutl -verify -rawin -digest sm3 -pkeyopt distid:1234567812345678 -inkey "$RELEASE_KEY" -in "$file" -sigfile "$file.sm2" >/dev/null
done
# What a policy pins: [update] key = "04…"
openssl pkey -in "$RELEASE_KEY" -pubout -outform DER | tail -c 65 | od -An -v -tx1 | tr -d ' \n'
echo
