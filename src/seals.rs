//! The seals that this user has: in the seal store (a folder) and on tokens, each matched to the key that can use it, byte for byte by
//! certificate. A seal whose key is on no present token is shown as absent, not hidden.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use ukey::{KeyUsage, PinStatus};

use crate::failure::{Code, Failure};
use crate::files::{make_private_dir, read_bounded, write_whole};
use crate::pki::Certificate;
use crate::pki::trust::TrustStore;
use crate::ses::{self, CertList, Seal};
use crate::sm::{Sm3Digest, sm3};
use crate::verify::looked_up::{LookedUp, Lookups};
use crate::verify::report::{Code as FindingCode, Level};
use crate::verify::{Context, Verifier};
use crate::workers::{Client, SigningKey, Token, TokenHandle, TokenList};

/// Largest seal file that is imported or read, in bytes; the largest real one has 60 KB.
const MAX_SEAL_BYTES: u64 = 4 << 20;
/// Most seals in the store. A company has a dozen.
const MAX_SEALS: usize = 500;

/// A seal and who could use it now.
#[derive(Clone, Debug)]
pub struct KnownSeal {
    /// The seal.
    pub seal: Arc<Seal>,
    /// SM3 of its bytes.
    pub digest: Sm3Digest,
    /// The key whose certificate the seal lists, if its token is plugged in.
    pub holder: Option<Holder>,
}

/// A key on a token that is plugged in.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The token.
    pub token: Token,
    /// The key, for signing.
    pub key: SigningKey,
    /// Its certificate.
    pub certificate: Arc<Certificate>,
    /// State of the token's PIN when it was looked at.
    pub pin: PinStatus,
}

/// All seals, and the tokens that were asked for them.
#[derive(Clone, Debug, Default)]
pub struct Seals {
    /// Ordered by code, then by start of validity.
    pub seals: Vec<KnownSeal>,
    /// The signing keys of all tokens.
    pub holders: Vec<Holder>,
    /// The tokens, and the drivers that gave no list.
    pub tokens: TokenList,
    /// State of each token's PIN.
    pub pins: BTreeMap<TokenHandle, PinStatus>,
}

impl KnownSeal {
    /// Whether it is inside its dates.
    pub fn is_in_dates(&self, now: Timestamp) -> bool {
        let property = self.seal.property();
        property.valid_from.instant <= now && now <= property.valid_to.instant
    }
}

/// Looks at every token and at the store. A token or a file that cannot be read is left out and logged.
pub async fn all(workers: &Client, store: &Path) -> Seals {
    let tokens = workers.tokens().await;
    let mut found: Vec<(Arc<Seal>, Sm3Digest)> = Vec::new();
    let mut holders = Vec::new();
    let mut pins = BTreeMap::new();
    for token in &tokens.tokens {
        let inspected = match workers.inspect(&token.handle).await {
            Ok(inspected) => inspected,
            Err(error) => {
                tracing::warn!(driver = token.driver, %error, "a token cannot be inspected");
                continue;
            }
        };
        pins.insert(token.handle.clone(), inspected.pin);
        for object in &inspected.seals {
            // A token holds other objects too: what is no seal is no fault.
            if let Ok(seal) = Seal::parse(object) {
                found.push((Arc::new(seal), sm3(object)));
            }
        }
        for key in inspected.keys.into_iter().filter(|k| k.usage == KeyUsage::Signing) {
            let Some(certificate) = key.certificate.as_ref().and_then(|c| Certificate::parse(&c.0).ok()) else { continue };
            // A certificate for another key would put a name under signatures that its owner never made.
            if certificate.key().sm2() != Some(&key.public_key) {
                tracing::warn!(token = %token.handle, "a key and its certificate do not belong together");
                continue;
            }
            holders.push(Holder {
                token: token.clone(),
                key: SigningKey { token: token.handle.clone(), key: key.id, public_key: key.public_key },
                certificate: Arc::new(certificate),
                pin: inspected.pin,
            });
        }
    }
    let folder = store.to_owned();
    match tokio::task::spawn_blocking(move || stored(&folder)).await {
        Ok(Ok(stored)) => found.extend(stored.into_iter().map(|s| (Arc::new(s.seal), s.digest))),
        Ok(Err(error)) => tracing::warn!(%error, "the seal store cannot be read"),
        Err(error) => tracing::error!(%error, "reading the seal store failed"),
    }
    let mut seals: Vec<KnownSeal> = Vec::new();
    for (seal, digest) in found {
        if seals.iter().all(|known| known.digest != digest) {
            let holder = holders.iter().find(|holder| lists(&seal, &holder.certificate)).cloned();
            seals.push(KnownSeal { seal, digest, holder });
        }
    }
    seals.sort_by(|a, b| {
        let key = |s: &KnownSeal| (s.seal.es_id().to_owned(), s.seal.property().valid_from.instant, s.digest);
        key(a).cmp(&key(b))
    });
    Seals { seals, holders, tokens, pins }
}

impl Seals {
    /// The seal of this code: of several (a renewed seal keeps its code) the one that can be used now, the newest of these.
    pub fn find(&self, es_id: &str, now: Timestamp) -> Option<&KnownSeal> {
        self.seals.iter().filter(|s| s.seal.es_id() == es_id).max_by_key(|s| (s.holder.is_some(), s.is_in_dates(now)))
    }
}

/// Whether the seal lists the certificate: byte for byte, or by its plain SM3 where the seal lists digests.
pub fn lists(seal: &Seal, certificate: &Certificate) -> bool {
    match &seal.property().cert_list {
        CertList::Certificates(list) => list.iter().any(|listed| listed == certificate.der()),
        CertList::Digests(list) => {
            let digest = sm3(certificate.der());
            list.iter().any(|listed| listed.value == digest.0)
        }
    }
}

/// Whether the seal may be used now with this certificate: maker's signature, dates, status, list (ses.md §9). Chains to an anchor are
/// for the verifier: who signs has no say in whom others trust.
pub fn check(seal: &Seal, certificate: &Certificate, trust: &TrustStore, now: Timestamp) -> Result<(), Failure> {
    if !lists(seal, certificate) {
        return Err(Code::SealCertificateMismatch.into());
    }
    if !certificate.valid_at(now) {
        return Err(Code::CertificateExpired.into());
    }
    if certificate.extensions().key_usage.is_some_and(|usage| !usage.signs()) {
        return Err(Failure::new(Code::SealCertificateMismatch, "the certificate is not for signing"));
    }
    check_alone(seal, trust, now)
}

/// The same for the seal by itself.
pub fn check_alone(seal: &Seal, trust: &TrustStore, now: Timestamp) -> Result<(), Failure> {
    let report = Verifier::verify(Cursor::new(seal.raw()), &Context::new(trust, now));
    let findings = report.seals.iter().flat_map(|s| &s.findings).chain(&report.findings);
    for finding in findings.filter(|f| f.level == Level::Error) {
        let code = match finding.code {
            FindingCode::SealExpired => Code::SealExpired,
            FindingCode::SealNotYetValid => Code::SealNotYetValid,
            FindingCode::SealStatusCancelled | FindingCode::SealStatusSuspended => Code::SealCancelled,
            // A maker's right and certificate are for whoever relies on the seal to judge, by their own trust list.
            FindingCode::SealMakerCertChain
            | FindingCode::SealMakerCertExpired
            | FindingCode::SealMakerCertRevoked
            | FindingCode::SealMakerCertUsage
            | FindingCode::SealMakerNotAuthorised => continue,
            _ => Code::SealInvalid,
        };
        return Err(Failure::new(code, &finding.message));
    }
    Ok(())
}

/// What a verdict about the seal by itself looks up: its state, if a region vouches for it, and its maker's certificates.
pub fn looked_up(seal: &Seal, trust: &TrustStore, now: Timestamp) -> Lookups {
    let looked_up = LookedUp::default();
    Verifier::verify(Cursor::new(seal.raw()), &Context { looked_up: Some(&looked_up), ..Context::new(trust, now) });
    looked_up.take()
}

/// A seal file of the store.
#[derive(Debug)]
pub struct StoredSeal {
    /// Where it is.
    pub path: PathBuf,
    /// The seal.
    pub seal: Seal,
    /// SM3 of its bytes.
    pub digest: Sm3Digest,
}

/// The seals in the store. No folder is an empty store; a file that is no seal is logged and left out.
pub fn stored(store: &Path) -> io::Result<Vec<StoredSeal>> {
    let entries = match fs::read_dir(store) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut out = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "esl") || out.len() == MAX_SEALS {
            continue;
        }
        match read_seal(&path) {
            Ok(seal) => out.push(StoredSeal { digest: sm3(seal.raw()), seal, path }),
            Err(error) => tracing::warn!(file = %path.display(), %error, "not a seal"),
        }
    }
    Ok(out)
}

/// Why a seal cannot be put into the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealFileError {
    /// The file cannot be read, or the store not written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no seal.
    #[error("not a seal: {0}")]
    NotASeal(#[from] ses::SesError),
    /// The text in it is no seal.
    #[error("not a seal: neither DER nor base64 of it")]
    NotDer,
    /// Its maker's signature does not verify.
    #[error("the seal is damaged: {0}")]
    Broken(String),
    /// Larger than any seal.
    #[error("larger than {MAX_SEAL_BYTES} bytes")]
    TooLarge,
    /// There are enough.
    #[error("the store holds {MAX_SEALS} seals already")]
    StoreFull,
}

fn read_seal(path: &Path) -> Result<Seal, SealFileError> {
    let mut bytes = read_bounded(path, MAX_SEAL_BYTES).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => SealFileError::TooLarge,
        _ => error.into(),
    })?;
    if ses::detect(&bytes) == ses::Kind::Text {
        bytes = ses::decode_text(&bytes).ok_or(SealFileError::NotDer)?;
    }
    Ok(Seal::parse(&bytes)?)
}

/// Puts a seal file into the store, under a name made of its own digest. A seal whose maker's signature is wrong is refused; one
/// outside its dates is taken, since old documents are looked up by it.
pub fn import(file: &Path, store: &Path) -> Result<Seal, SealFileError> {
    let seal = read_seal(file)?;
    let inside = seal.property().valid_from.instant;
    if let Err(failure) = check_alone(&seal, &TrustStore::empty(), inside)
        && failure.code == Code::SealInvalid
    {
        return Err(SealFileError::Broken(failure.detail.unwrap_or_default()));
    }
    make_private_dir(store)?;
    if stored(store)?.len() >= MAX_SEALS {
        return Err(SealFileError::StoreFull);
    }
    write_whole(&store.join(format!("{}.esl", sm3(seal.raw()))), seal.raw())?;
    Ok(seal)
}

/// Takes all seals of this code out of the store; returns how many there were.
pub fn remove(es_id: &str, store: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for stored in stored(store)?.into_iter().filter(|s| s.seal.es_id() == es_id) {
        fs::remove_file(stored.path)?;
        removed += 1;
    }
    Ok(removed)
}
