//! A key together with its certificate: a CA, a seal maker, a time stamp authority, an OCSP responder.

use sealagent::pki::{Certificate, CertificateError};

use crate::key::Key;

/// Why key and certificate do not make an identity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The bytes are no certificate.
    #[error("the certificate is unreadable: {0}")]
    Certificate(#[from] CertificateError),
    /// They do not belong together.
    #[error("the key does not belong to the certificate")]
    Key,
}

/// A key together with its certificate.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Key,
    certificate: Certificate,
}

impl Identity {
    /// Joins a key with its certificate, DER. Refuses a certificate of another key.
    pub fn new(key: impl Into<Key>, certificate: &[u8]) -> Result<Self, IdentityError> {
        let key = key.into();
        let certificate = Certificate::parse(certificate)?;
        if certificate.key().sm2() == Some(&key.public_key()) { Ok(Self { key, certificate }) } else { Err(IdentityError::Key) }
    }

    /// The private key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// DER of the certificate.
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }
}
