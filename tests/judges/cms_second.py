"""SignedData judged by the standard library and `openssl dgst`: what was signed is cut out with a TLV walk of a few lines. Exit status 0: accepted.

Usage: cms_second.py FILE. The content is attached and the signer has authenticated attributes.
"""

import hashlib
import subprocess
import sys
import tempfile


def tlv(data, at):
    length, head = data[at + 1], 2
    if length & 128:
        head = 2 + (length & 127)
        length = int.from_bytes(data[at + 2 : at + head], "big")
    if at + head + length > len(data):
        raise ValueError("cut short")
    return at, at + head, at + head + length


def children(data, parent):
    at, out = parent[1], []
    while at < parent[2]:
        out.append(tlv(data, at))
        at = out[-1][2]
    return out


def verifies(certificate, message, signature):
    with tempfile.TemporaryDirectory() as folder:
        for name, contents in (("c", certificate), ("m", message), ("s", signature)):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(contents)
        key = subprocess.check_output(["openssl", "x509", "-inform", "DER", "-in", f"{folder}/c", "-noout", "-pubkey"])
        with open(f"{folder}/p", "wb") as file:
            file.write(key)
        options = ["-sm3", "-sigopt", "distid:1234567812345678", "-verify", f"{folder}/p", "-signature", f"{folder}/s"]
        return subprocess.run(["openssl", "dgst", *options, f"{folder}/m"], capture_output=True).returncode == 0


def judge(data):
    def raw(part):
        return data[part[0] : part[2]]

    def value(part):
        return data[part[1] : part[2]]

    signed = children(data, children(data, children(data, tlv(data, 0))[1])[0])
    signer = children(data, children(data, signed[-1])[0])
    content_type, explicit = children(data, signed[2])
    content = value(children(data, explicit)[0])
    certificate = raw(children(data, next(part for part in signed if data[part[0]] == 0xA0))[0])
    attributes = {}
    for attribute in children(data, signer[3]):
        oid, values = children(data, attribute)
        attributes[value(oid).hex()] = children(data, values)[0]
    if value(attributes["2a864886f70d010904"]) != hashlib.new("sm3", content).digest():
        return False
    if raw(attributes["2a864886f70d010903"]) != raw(content_type):
        return False
    signature = next(value(part) for part in signer if data[part[0]] == 0x04)
    return verifies(certificate, b"\x31" + raw(signer[3])[1:], signature)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source:
        sys.exit(0 if judge(source.read()) else 1)
