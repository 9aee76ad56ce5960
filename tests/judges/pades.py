"""Signs a PDF as PAdES does, by pyHanko, with a key of its own: pades.py rsa|ecdsa IN OUT."""
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

kind, source, target = sys.argv[1:]
key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PAdES test")])
now = datetime.datetime.now(datetime.timezone.utc)
usage = dict.fromkeys(
    ["key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False
)
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(key.public_key())
    .serial_number(1)
    .not_valid_before(now - datetime.timedelta(days=1))
    .not_valid_after(now + datetime.timedelta(days=365))
    .add_extension(x509.KeyUsage(digital_signature=True, content_commitment=True, **usage), critical=True)
    .sign(key, hashes.SHA256())
)
signer = signers.SimpleSigner(
    signing_cert=der.Certificate.load(certificate.public_bytes(Encoding.DER)),
    signing_key=keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
    cert_registry=SimpleCertificateStore(),
)
metadata = signers.PdfSignatureMetadata(field_name="PAdES", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)
with open(source, "rb") as before, open(target, "wb") as after:
    signers.sign_pdf(IncrementalPdfFileWriter(before), metadata, signer=signer, output=after)
