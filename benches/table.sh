#!/usr/bin/env bash
# benches/table.sh [PART...]: measures everything in one run, beside other programs, and prints the README's tables (markdown). Parts:
# crypto, documents, processes, agent, preview; all unless told. CPU time wherever that can be had, the least of several runs: machines are shared.
# What is not installed (openssl, libgcrypt20-dev, libbcprov-java and a JDK, a C compiler) is left out with a word on standard error.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
tools=$target/bench-tools
mkdir -p "$tools"

absent() { echo "left out: $1" >&2; }
# A C program of benches/peers, compiled: its name and its libraries.
compiled() {
    local name=$1
    shift
    cc -O2 "benches/peers/$name.c" "$@" -o "$tools/$name" 2>/dev/null || { absent "$name.c (C compiler or headers are missing)"; return 1; }
}
# `name value` lines: the value of a name.
value_of() { awk -v name="$2" '$1 == name { print $2; exit }' <<<"$1"; }
ratio_row() { awk -v what="$1" -v who="$2" -v rate="$3" -v unit="$4" -v base="$5" 'BEGIN { if (rate != "") printf "| %s | %s | %.0f %s | %.2f |\n", what, who, rate, unit, rate / base }'; }

# The least times of one crate's benches as `name nanoseconds`.
divan() {
    cargo bench --quiet -p "$1" --bench "$2" 2>/dev/null | sed 's/[├╰─│]/ /g' | awk '
        BEGIN { unit["ns"] = 1; unit["µs"] = 1e3; unit["ms"] = 1e6; unit["s"] = 1e9 }
        ($3 in unit) { print $1, $2 * unit[$3] }'
}
per_second() { awk -v time="$1" -v work="$2" 'BEGIN { if (time != "") print work * 1e9 / time }'; }

crypto() {
    local sm2 sm3 base openssl_verify="" openssl_sm3="" gcrypt="" bouncy="" jar=/usr/share/java/bcprov.jar
    sm2=$(divan sm2-verify verify)
    sm3=$(divan sm3-lanes hash)
    if command -v openssl >/dev/null; then
        openssl_verify=$(openssl speed -seconds 3 -mr sm2 2>/dev/null | awk -F: '/^\+F/ { print $NF }' || true)
        openssl_sm3=$(openssl speed -seconds 3 -mr -bytes 1048576 -evp sm3 2>/dev/null | awk -F: '/^\+F/ { print $NF / 1e6 }' || true)
    else
        absent openssl
    fi
    if compiled gcrypt -lgcrypt; then gcrypt=$("$tools/gcrypt"); fi
    if command -v javac >/dev/null && [ -e "$jar" ]; then
        javac -cp "$jar" -d "$tools" benches/peers/BcBench.java
        bouncy=$(java -cp "$tools:$jar" BcBench)
    else
        absent "Bouncy Castle"
    fi
    echo "| | who | one thread | ratio |"
    echo "|---|---|---|---|"
    base=$(per_second "$(value_of "$sm2" crate_sm2)" 1)
    verify() { ratio_row "$1" "$2" "$(per_second "$(value_of "$sm2" "$3")" "$4")" /s "$base"; }
    verify "SM2 verify, any key" "sm2-verify" any_key 1
    verify "SM2 verify, any key, 64 together" "sm2-verify" many_any_key_64 64
    verify "SM2 verify, key met before" "sm2-verify" known_key_from_tables 1
    verify "SM2 verify, key met before, 128 together" "sm2-verify" many_known_key_128 128
    verify "SM2 verify" "crate sm2" crate_sm2 1
    verify "SM2 verify" "crate libsm" crate_libsm 1
    ratio_row "SM2 verify" "$(openssl version 2>/dev/null | cut -d' ' -f1,2)" "$openssl_verify" /s "$base"
    ratio_row "SM2 verify" "Bouncy Castle (Java, warm)" "$(value_of "$bouncy" verify)" /s "$base"
    ratio_row "SM2 verify" "libgcrypt" "$(value_of "$gcrypt" verify)" /s "$base"
    verify "SM2 sign (constant time)" "crate sm2" crate_sm2_sign 1
    base=$(per_second "$(value_of "$sm3" one_stream_crate_sm3)" 1.048576)
    hash() { ratio_row "$1" "$2" "$(per_second "$(value_of "$sm3" "$3")" "$4")" MB/s "$base"; }
    hash "SM3, many streams of 16 KiB" "sm3-lanes" many_equal 1.048576
    hash "SM3, many streams of 1 B to 32 KiB" "sm3-lanes" many_unequal 0.682816
    hash "SM3, the same one by one" "crate sm3" many_unequal_crate_sm3 0.682816
    hash "SM3, one stream" "sm3-lanes" one_stream 1.048576
    hash "SM3, one stream" "crate sm3" one_stream_crate_sm3 1.048576
    hash "SM3, one stream" "crate libsm" one_stream_crate_libsm 1.048576
    ratio_row "SM3, one stream" "$(openssl version 2>/dev/null | cut -d' ' -f1,2)" "$openssl_sm3" MB/s "$base"
    ratio_row "SM3, one stream" "Bouncy Castle (Java, warm)" "$(value_of "$bouncy" sm3)" MB/s "$base"
    ratio_row "SM3, one stream" "libgcrypt" "$(value_of "$gcrypt" sm3)" MB/s "$base"
}

# Growth and limits, as the bench prints them.
documents() {
    echo '```'
    cargo bench --quiet --bench documents
    echo '```'
}

# The programs as they are installed, cold: one line each.
processes() {
    compiled rusage || return 0
    local files=$target/bench-files verify="$target/release/sealagent verify --trust $target/bench-files/trust --at 2026-11-02T08:00:00Z"
    cargo build --quiet --release --bin sealagent
    [ -e "$files/large.pdf" ] || cargo bench --quiet --bench corpus -- make "$files"
    echo "| a cold process | CPU | memory |"
    echo "|---|---|---|"
    line() {
        local what=$1 times=$2 cpu memory
        shift 2
        read -r cpu memory < <("$tools/rusage" "$times" "$@")
        echo "| $what | $cpu ms | $memory MB |"
    }
    line "verify one page, one seal" 50 $verify "$files/one.ofd"
    line "verify 200 documents" 10 $verify --files-from "$files/names-200"
    line "verify 1 000" 5 $verify --files-from "$files/names-1000"
    line "verify 10 000" 3 $verify --files-from "$files/names-10000"
    line "verify 100 000" 1 $verify --files-from "$files/names-100000"
    line "verify 500 pages, 52 MB" 10 $verify "$files/large.ofd"
    line "verify a PDF of 100 MB" 5 $verify "$files/large.pdf"
    local cpu memory before
    read -r cpu memory before < <(cargo bench --quiet --bench corpus -- sign "$files")
    echo "| sign 500 pages, 52 MB, token left out | $cpu ms | $memory MB ($before MB before) |"
}

agent() {
    # The agent starts its worker from beside itself.
    cargo build --quiet --release --package sealagent-worker --bins
    echo '```'
    cargo bench --quiet --bench agent
    echo '```'
}

# What a person waits for: pages and seals as pictures, the program started for them.
preview() {
    echo '```'
    cargo bench --quiet -p sealagent-preview --bench preview
    echo '```'
}

[ $# -gt 0 ] || set -- crypto documents processes agent preview
for part in "$@"; do
    echo
    "$part"
done
