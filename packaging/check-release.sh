#!/usr/bin/env bash
# Signs a release folder with a key made here, as OpenSSL does it, and lets `sealagent update check` judge it: good, changed, cut, older,
# and with no channel in the policy.
source "$(dirname "$0")/places.sh"
cd "$root/packaging"
[ "$(id -u)" -eq 0 ] || fail "root is needed: the channel stands in a policy of root's"
./build.sh x86_64-unknown-linux-gnu
agent=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/sealagent
work=$(mktemp -d)
trap 'rm -rf "$work"; rmdir /etc/sealagent 2>/dev/null || true' EXIT
mkdir "$work/release" "$work/etc" "$work/home"
head -c 100000 /dev/urandom >"$work/release/sealagent_${version}-1_amd64.deb"
openssl genpkey -algorithm SM2 -out "$work/key.pem" 2>/dev/null
seal() { RELEASE_KEY=$work/key.pem ./seal-release.sh "$work/release" "$1" | tail -1; }
key=$(seal 7)
printf '[update]\nmanifest = "%s/release/update.json"\nkey = "%s"\n' "$work" "$key" >"$work/etc/policy.toml"
# The policy has one place, which no argument moves: it is put there for this process alone.
judge() {
    unshare --mount sh -euc 'mkdir -p /etc/sealagent; mount --bind "$1/etc" /etc/sealagent; shift; exec "$@"' - "$work" \
        env HOME="$work/home" XDG_DATA_HOME="$work/home/data" "$agent" update check "$@" >"$work/said" 2>&1
}
refused() { judge && { cat "$work/said"; fail "accepted: $1"; }; grep -q "$2" "$work/said" || { cat "$work/said"; fail "another reason: $1"; }; }

say "a manifest that OpenSSL signed is accepted, with its package"
judge --package "$work/release/sealagent_${version}-1_amd64.deb" || { cat "$work/said"; fail "refused"; }
say "a cut package, a changed manifest, an older one and a foreign signature are refused"
cp "$work/release/sealagent_${version}-1_amd64.deb" "$work/whole"
truncate -s -1 "$work/release/sealagent_${version}-1_amd64.deb"
judge --package "$work/release/sealagent_${version}-1_amd64.deb" && fail "a cut package was accepted"
mv "$work/whole" "$work/release/sealagent_${version}-1_amd64.deb"
sed -i 's/"sequence":7/"sequence":8/' "$work/release/update.json"
refused "a changed manifest" 'not signed by the key'
seal 6 >/dev/null
refused "an older manifest" 'older than'
openssl genpkey -algorithm SM2 -out "$work/key.pem" 2>/dev/null
seal 9 >/dev/null
refused "another signer" 'not signed by the key'
say "without a channel in the policy it is switched off"
: >"$work/etc/policy.toml"
refused "no channel" 'switched off'
