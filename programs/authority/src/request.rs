//! Certificate requests (PKCS#10, RFC 2986; GB/T 19713), read and made.
//!
//! A request proves that its maker holds the key. It proves nothing about the name: who issues decides that.

use sealagent::asn1::{Asn1Error, SEQUENCE, Tlv, context, der_of, integer, oid as gm, sequence};
use sealagent::sm::{Sm2PublicKey, Sm2Signature, read_signature, verify};

use crate::key::{PrivateKey, signed, subject_public_key_info};
use crate::name::{Name, NameError};

/// Largest request that is read, in bytes. Real ones have a few hundred; a CA's own may carry attributes of some kilobytes.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;

/// Why a request is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It is not signed with SM2-with-SM3, or its key is not an SM2 key.
    #[error("the request is not one for an SM2 key, signed with SM2 and SM3")]
    Algorithm,
    /// The bytes are no request.
    #[error("not a certificate request: {0}")]
    Encoding(#[from] Asn1Error),
    /// The name in it cannot be read or written.
    #[error("{0}")]
    Name(#[from] NameError),
    /// Its signature does not verify: who made it need not hold the key.
    #[error("the signature of the request is wrong, so nothing shows that its maker holds the key")]
    Signature,
    /// More than [`MAX_REQUEST_BYTES`].
    #[error("larger than a certificate request can be")]
    TooLarge,
}

/// A request whose signature was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificationRequest {
    subject: Name,
    public_key: Sm2PublicKey,
}

impl CertificationRequest {
    /// Makes a request, DER, for the key's public half.
    pub fn make(key: &PrivateKey, subject: &Name) -> Result<Vec<u8>, NameError> {
        let info = Self::to_be_signed(&key.public_key(), subject)?;
        Ok(Self::assemble(&info, &key.sign(&info)))
    }

    /// `CertificationRequestInfo`: what the holder of the key signs, where the key is on a token.
    pub fn to_be_signed(public_key: &Sm2PublicKey, subject: &Name) -> Result<Vec<u8>, NameError> {
        Ok(sequence(&[&integer(0), &subject.to_der()?, &subject_public_key_info(public_key), &der_of(context(0), &[])]))
    }

    /// The request, DER, from what [`Self::to_be_signed`] gave and the signature over it.
    pub fn assemble(info: &[u8], signature: &Sm2Signature) -> Vec<u8> {
        signed(info, signature)
    }

    /// Reads a request, DER, and verifies its signature under the default SM2 id.
    pub fn read(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge);
        }
        let mut request = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
        let info = request.next(SEQUENCE)?;
        let algorithm = request.next(SEQUENCE)?.elements().any()?.oid()?;
        let signature = request.any()?.bit_string()?;
        request.end()?;

        let mut parts = info.elements();
        parts.any()?.small_integer()?;
        let subject = Name::from_der(parts.next(SEQUENCE)?.raw)?;
        let mut spki = parts.next(SEQUENCE)?.elements();
        let mut key_algorithm = spki.next(SEQUENCE)?.elements();
        if algorithm != gm::SM2_WITH_SM3
            || key_algorithm.any()?.oid()? != gm::EC_PUBLIC_KEY
            || key_algorithm.any()?.oid()? != gm::SM2_CURVE
        {
            return Err(RequestError::Algorithm);
        }
        let public_key = Sm2PublicKey::from_sec1(spki.any()?.bit_string()?).ok_or(RequestError::Algorithm)?;
        let (signature, _) = read_signature(signature)?;
        if !verify(&public_key, info.raw, &signature) {
            return Err(RequestError::Signature);
        }
        Ok(Self { subject, public_key })
    }

    /// The name it asks for.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The key it is for.
    pub fn public_key(&self) -> &Sm2PublicKey {
        &self.public_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_request_is_read_and_no_changed_byte_passes() {
        let key = PrivateKey::generate().unwrap();
        let name = Name::china().organization("某公司").common_name("44030000000001");
        let good = CertificationRequest::make(&key, &name).unwrap();
        let read = CertificationRequest::read(&good).unwrap();
        assert_eq!((read.subject(), read.public_key()), (&name, &key.public_key()));
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            assert!(CertificationRequest::read(&bad).is_err(), "byte {i}");
        }
    }

    #[test]
    fn oversized_request_is_refused() {
        assert_eq!(CertificationRequest::read(&vec![0x30; MAX_REQUEST_BYTES + 1]), Err(RequestError::TooLarge));
    }
}
