#!/bin/bash
# What check-deb.sh runs inside the bare Debian: check-deb-inside.sh OLD NEW, with the packages beside it.
set -euo pipefail
cd /root
old=$1 new=$2
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
say() { printf '%s\n' "· $*"; }
fail() { printf '%s\n' "FAILED: $*" >&2; exit 1; }
install() { apt-get install -q -y --no-install-recommends "$@" </dev/null >>/root/apt.log 2>&1 || { tail -30 /root/apt.log; fail "apt: $*"; }; }
as_user() { su fresh -c "cd && $*"; }
running() { find /proc/[0-9]*/exe -lname '/usr/libexec/sealagent/*' 2>/dev/null | grep -c . || true; }

apt-get -q update >/dev/null
for package in sealagent sealauthority; do
    apt-get satisfy -q -y --no-install-recommends "$(dpkg-deb -f "${package}_${new}_amd64.deb" Depends)" >>/root/apt.log 2>&1
done
useradd --create-home --shell /bin/bash fresh

# All of it but what apt and dpkg note down about themselves, the kernel's, the user's own and what this script writes.
snapshot() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /root -o -path /home/fresh -o -path /var/cache -o \
        -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log -o -path /run \) -prune -o -printf '%y %m %U %G %p %l\n' | sort
    find /etc /usr /opt /var/lib -xdev -type f -not -path '/var/lib/apt/*' -not -path '/var/lib/dpkg/*' -not -name 'aux-cache' -print0 | sort -z |
        xargs -0 sha256sum
    find /var/lib/dpkg/info /var/lib/dpkg/triggers -printf '%p\n' | sort
}
snapshot >/root/before

say "install $old"
install "./sealagent_${old}_amd64.deb" "./sealauthority_${old}_amd64.deb"
[ "$(stat -c '%U %a' /etc/sealagent/policy.toml)" = 'root 644' ] || fail "the policy can be written by others"

say "a fresh user signs"
as_user sealagent demo --headless --folder demo >/root/demo.txt || { cat /root/demo.txt; fail "the demo"; }
grep -q TOTAL_PASSED /root/demo.txt || fail "the demo's document is not valid"
as_user sealagent verify --trust demo/data/trust demo/signed.ofd >/dev/null || fail "the sealed file does not verify"

say "a changed policy survives $old → $new, while an agent runs"
printf '\n[http]\nport = 17330\norigins = ["https://sign.example"]\n' >>/etc/sealagent/policy.toml
kept=$(sha256sum </etc/sealagent/policy.toml)
su fresh -c 'cd && sealagent run >run.txt 2>&1' &
for _ in $(seq 100); do grep -q 17330 /home/fresh/run.txt 2>/dev/null && break; sleep 0.1; done
answer() { exec 3<>/dev/tcp/127.0.0.1/17330 && printf 'GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1:17330\r\nOrigin: https://sign.example\r\nConnection: close\r\n\r\n' >&3 && head -1 <&3; }
export -f answer
[ "$(running)" -gt 0 ] || { cat /home/fresh/run.txt; fail "the agent does not run"; }
su fresh -s /bin/bash -c answer | grep -q ' 200 ' || fail "the agent does not answer on the policy's port"
install "./sealagent_${new}_amd64.deb" "./sealauthority_${new}_amd64.deb"
[ "$(dpkg-query -W -f '${Version}' sealagent)" = "$new" ] || fail "not upgraded"
[ "$(sha256sum </etc/sealagent/policy.toml)" = "$kept" ] || fail "the upgrade changed the policy"
as_user sealagent --version
rm -rf /home/fresh/demo
sed -i '/^\[http\]$/,$d' /etc/sealagent/policy.toml
as_user sealagent demo --headless --folder demo >/root/demo.txt || { cat /root/demo.txt; fail "the demo after the upgrade"; }

say "a policy that somebody else could write stops the agent"
chmod 666 /etc/sealagent/policy.toml
if as_user sealagent tokens 2>/root/refused.txt; then fail "a writable policy was used"; fi
grep -q 'must belong to root' /root/refused.txt || { cat /root/refused.txt; fail "another reason"; }
chmod 644 /etc/sealagent/policy.toml

say "purge"
apt-get purge -q -y sealagent sealauthority </dev/null >>/root/apt.log 2>&1 || { tail -30 /root/apt.log; fail "purge"; }
for _ in $(seq 50); do [ "$(running)" = 0 ] && break; sleep 0.1; done
[ "$(running)" = 0 ] || fail "a process of the package still runs"
if dpkg-query -W sealagent sealauthority 2>/dev/null | grep .; then fail "dpkg still knows the packages"; fi
snapshot >/root/after
diff /root/before /root/after || fail "the file system is not what it was"
if find / -xdev \( -path /proc -o -path /root -o -path /home/fresh \) -prune -o -iname '*sealagent*' -print | grep .; then fail "left behind"; fi
say "nothing is left"
