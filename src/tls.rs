//! The certificate of the TLS listener, for browsers and sites that call nothing but `https`. There is none until the person makes it.
//!
//! Made on this machine for this machine: an authority that may vouch for `localhost` and `127.0.0.1` alone, and only for servers, issues
//! one certificate, and its key is thrown away before anything is written. So nothing can be made with what lies on the disk, and
//! another machine's certificate is worth nothing here. No store of the system or of a browser is touched: the person does that.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::files::{make_private_dir, private_file};
use crate::pki::Certificate;

/// How long it is valid: browsers refuse certificates for more than 398 days.
const LIFE: SignedDuration = SignedDuration::from_hours(24 * 397);
/// Machines' clocks differ by so much.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);
/// The files of the folder, the one to trust first.
const FILES: [&str; 3] = [AUTHORITY, CERTIFICATE, KEY];
const AUTHORITY: &str = "authority.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One is there already.
    #[error("a certificate is there already")]
    Exists,
    /// Files cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It could not be made.
    #[error("the certificate cannot be made: {0}")]
    Making(#[from] rcgen::Error),
    /// What is there cannot be used.
    #[error("{} cannot be used: {what}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

/// The folder of the certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    dir: PathBuf,
}

/// What is there.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsStatus {
    /// The certificate that a browser must trust.
    pub authority: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
    /// First moment of its validity.
    pub valid_from: Timestamp,
    /// Last moment of its validity.
    pub valid_to: Timestamp,
}

impl Tls {
    /// The certificate in `dir`, if one is made there.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The certificate that a browser must trust.
    pub fn authority(&self) -> PathBuf {
        self.dir.join(AUTHORITY)
    }

    /// Whether there is one.
    pub fn exists(&self) -> bool {
        self.dir.join(CERTIFICATE).exists()
    }

    /// Makes authority, certificate and key. Blocks.
    pub fn create(&self, now: Timestamp) -> Result<TlsStatus, TlsError> {
        if FILES.iter().any(|name| self.dir.join(name).exists()) {
            return Err(TlsError::Exists);
        }
        let authority_key = KeyPair::generate()?;
        let mut authority = params(now, "sealagent on this computer only", &[])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let permitted = [
            GeneralSubtree::DnsName("localhost".into()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 1], 32)),
        ];
        authority.name_constraints =
            Some(NameConstraints { permitted_subtrees: permitted.into(), excluded_subtrees: Vec::new() });
        let authority_pem = authority.self_signed(&authority_key)?.pem();

        let key = KeyPair::generate()?;
        let mut certificate = params(now, "localhost", &["localhost"])?;
        certificate.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        certificate.is_ca = IsCa::ExplicitNoCa;
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        certificate.use_authority_key_identifier_extension = true;
        let certificate_pem = certificate.signed_by(&key, &Issuer::new(authority, authority_key))?.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());

        make_private_dir(&self.dir)?;
        let write = |name: &str, text: &str| -> io::Result<()> {
            let mut file = private_file().write(true).create_new(true).open(self.dir.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        let written = write(AUTHORITY, &authority_pem)
            .and_then(|()| write(KEY, &key_pem))
            .and_then(|()| write(CERTIFICATE, &certificate_pem));
        if let Err(error) = written {
            let _ = self.remove();
            return Err(error.into());
        }
        self.status().and_then(|status| status.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into()))
    }

    /// Removes all of it; whether there was something. Blocks.
    pub fn remove(&self) -> io::Result<bool> {
        let mut removed = false;
        for name in FILES {
            match fs::remove_file(self.dir.join(name)) {
                Ok(()) => removed = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        match fs::remove_dir(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(removed),
        }
    }

    /// What is there. Blocks.
    pub fn status(&self) -> Result<Option<TlsStatus>, TlsError> {
        let path = self.authority();
        if !path.exists() {
            return Ok(None);
        }
        let unusable = |what: String| TlsError::Unusable { path: path.clone(), what };
        let der = CertificateDer::from_pem_file(&path).map_err(|error| unusable(error.to_string()))?;
        let certificate = Certificate::parse(&der).map_err(|error| unusable(error.to_string()))?;
        Ok(Some(TlsStatus {
            sha256: certificate.sha256_hex(),
            valid_from: certificate.not_before(),
            valid_to: certificate.not_after(),
            authority: path,
        }))
    }

    /// What a listener needs. Blocks.
    pub fn server(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let unusable = |name: &str, what: String| TlsError::Unusable { path: self.dir.join(name), what };
        let read = |path: &Path| CertificateDer::from_pem_file(path).map_err(|error| unusable(CERTIFICATE, error.to_string()));
        let chain = vec![read(&self.dir.join(CERTIFICATE))?];
        let key = PrivateKeyDer::from_pem_file(self.dir.join(KEY)).map_err(|error| unusable(KEY, error.to_string()))?;
        // Named here, so that no dependency can bring a second provider into play.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| unusable(CERTIFICATE, error.to_string()))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }
}

/// What both certificates have in common.
fn params(now: Timestamp, name: &str, names: &[&str]) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    let day = |at: Timestamp| {
        let date = jiff::tz::Offset::UTC.to_datetime(at).date();
        date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8)
    };
    params.not_before = day(now.saturating_sub(BACKDATED).unwrap_or(now));
    params.not_after = day(now.saturating_add(LIFE).unwrap_or(now));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Tls) {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::new(dir.path().join("tls"));
        (dir, tls)
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_500_000).unwrap()
    }

    /// Attack item 51.
    #[test]
    fn it_is_made_once_for_this_user_and_removed_without_a_trace() {
        let (dir, tls) = folder();
        assert!(tls.status().unwrap().is_none() && !tls.exists());
        let made = tls.create(now()).unwrap();
        assert!(made.valid_from < now() && now() < made.valid_to && tls.exists());
        assert!(matches!(tls.create(now()), Err(TlsError::Exists)), "another would need trust of its own");
        #[cfg(unix)]
        for name in FILES {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(tls.dir.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert!(tls.server().is_ok());
        assert!(tls.remove().unwrap() && !tls.remove().unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Attack item 51: what can be made with one private key that lies there.
    #[test]
    fn one_key_is_kept_and_it_is_not_the_authoritys() {
        let (_dir, tls) = folder();
        tls.create(now()).unwrap();
        let keys: Vec<_> =
            FILES.iter().filter(|name| fs::read_to_string(tls.dir.join(name)).unwrap().contains("PRIVATE KEY")).collect();
        assert_eq!(keys, [&KEY]);
        let key = KeyPair::from_pem(&fs::read_to_string(tls.dir.join(KEY)).unwrap()).unwrap();
        let read = |name| CertificateDer::from_pem_file(tls.dir.join(name)).unwrap();
        let holds = |der: &[u8]| der.windows(key.public_key_raw().len()).any(|window| window == key.public_key_raw());
        assert!(holds(&read(CERTIFICATE)) && !holds(&read(AUTHORITY)));
    }

    #[test]
    fn each_machine_has_another() {
        let ((_a, a), (_b, b)) = (folder(), folder());
        assert_ne!(a.create(now()).unwrap().sha256, b.create(now()).unwrap().sha256);
    }
}
