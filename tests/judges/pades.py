"""Signs a PDF as PAdES does, by pyHanko, with a key and a root of its own: pades.py rsa|p256|p384|p521 sha256|sha384|sha512 IN FOLDER.

FOLDER gets signed.pdf, root.pem and the root's list root.crl."""
import datetime
import sys

from asn1crypto import keys
from asn1crypto import x509 as der
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore

kind, digest, source, folder = sys.argv[1:]
curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
hash = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}[digest]()


def generate():
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(curves[kind]())


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


now = datetime.datetime.now(datetime.timezone.utc)
day = datetime.timedelta(days=1)
usages = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
usages += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]


def issue(subject, key, serial, ca, used_for):
    usage = x509.KeyUsage(**{name: name in used_for for name in usages})
    builder = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named("PAdES root")).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(now - day).not_valid_after(now + 365 * day)
    builder = builder.add_extension(usage, critical=True).add_extension(x509.BasicConstraints(ca, None), critical=True)
    return builder.sign(root_key, hash)


root_key, key = generate(), generate()
root = issue("PAdES root", root_key, 1, True, ["key_cert_sign", "crl_sign"])
certificate = issue("PAdES test", key, 2, False, ["digital_signature", "content_commitment"])
updates = x509.CertificateRevocationListBuilder().issuer_name(root.subject).last_update(now - day).next_update(now + 30 * day)
with open(f"{folder}/root.pem", "wb") as out:
    out.write(root.public_bytes(Encoding.PEM))
with open(f"{folder}/root.crl", "wb") as out:
    out.write(updates.sign(root_key, hash).public_bytes(Encoding.DER))
signer = signers.SimpleSigner(
    signing_cert=der.Certificate.load(certificate.public_bytes(Encoding.DER)),
    signing_key=keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
    cert_registry=SimpleCertificateStore(),
)
metadata = signers.PdfSignatureMetadata(field_name="PAdES", md_algorithm=digest, subfilter=SigSeedSubFilter.PADES)
with open(source, "rb") as before, open(f"{folder}/signed.pdf", "wb") as after:
    signers.sign_pdf(IncrementalPdfFileWriter(before), metadata, signer=signer, output=after)
