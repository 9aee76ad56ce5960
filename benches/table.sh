#!/usr/bin/env bash
# benches/table.sh: measures SM2 and SM3 beside their peers in one run and prints the README's table (markdown). Of each bench the fastest
# sample counts: on a machine with other work, that is the one least disturbed. Ratios are to the crates `sm2` and `sm3`.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."

# The times (ns) or rates of one crate's benches as `name value`, value in nanoseconds an iteration.
benches() {
    cargo bench --quiet -p "$1" --bench "$2" 2>/dev/null | sed 's/[├╰─│]/ /g' | awk '
        BEGIN { unit["ns"] = 1; unit["µs"] = 1e3; unit["ms"] = 1e6; unit["s"] = 1e9 }
        ($3 in unit) { print $1, $2 * unit[$3] }'
}

sm2=$(benches sm2-verify verify)
sm3=$(benches sm3-lanes hash)
openssl_verify=$(openssl speed -seconds 3 -mr sm2 2>/dev/null | awk -F: '/^\+F/ { print $NF }' || true)
openssl_sm3=$(openssl speed -seconds 3 -mr -bytes 1048576 -evp sm3 2>/dev/null | awk -F: '/^\+F/ { print $NF / 1e6 }' || true)

time_of() { awk -v name="$2" '$1 == name { print $2 }' <<<"$1"; }
row() { awk -v what="$1" -v who="$2" -v rate="$3" -v unit="$4" -v base="$5" 'BEGIN { if (rate != "") printf "| %s | %s | %.0f %s | %.2f |\n", what, who, rate, unit, rate / base }'; }
rate() { awk -v time="$1" -v work="$2" 'BEGIN { if (time != "") print work * 1e9 / time }'; }

base=$(rate "$(time_of "$sm2" crate_sm2)" 1)
echo "| | who | one thread | ratio |"
echo "|---|---|---|---|"
verify() { row "$1" "$2" "$(rate "$(time_of "$sm2" "$3")" "$4")" /s "$base"; }
verify "SM2 verify, any key" "sm2-verify" any_key 1
verify "SM2 verify, any key, 64 together" "sm2-verify" many_any_key_64 64
verify "SM2 verify, key met before" "sm2-verify" known_key_from_tables 1
verify "SM2 verify, key met before, 128 together" "sm2-verify" many_known_key_128 128
verify "SM2 verify" "crate sm2" crate_sm2 1
verify "SM2 verify" "crate libsm" crate_libsm 1
row "SM2 verify" "$(openssl version | cut -d' ' -f1,2)" "$openssl_verify" /s "$base"
verify "SM2 sign (constant time)" "crate sm2" crate_sm2_sign 1

base=$(rate "$(time_of "$sm3" one_stream_crate_sm3)" 1.048576)
hash() { row "$1" "$2" "$(rate "$(time_of "$sm3" "$3")" "$4")" MB/s "$base"; }
hash "SM3, many streams of 16 KiB" "sm3-lanes" many_equal 1.048576
hash "SM3, many streams of 1 B to 32 KiB" "sm3-lanes" many_unequal 0.682816
hash "SM3, the same one by one" "crate sm3" many_unequal_crate_sm3 0.682816
hash "SM3, one stream" "sm3-lanes" one_stream 1.048576
hash "SM3, one stream" "crate sm3" one_stream_crate_sm3 1.048576
hash "SM3, one stream" "crate libsm" one_stream_crate_libsm 1.048576
row "SM3, one stream" "$(openssl version | cut -d' ' -f1,2)" "$openssl_sm3" MB/s "$base"
