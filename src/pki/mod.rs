//! Certificates, paths, revocation and time stamps (GB/T 20518, GM/T 0015, RFC 5280, RFC 6960, RFC 3161), judged from what is given.
//!
//! Nothing here fetches or knows the time: trust, revocation data and the moment of judging are arguments. A signature by a key
//! counts only under the default SM2 id; one made without Z, or under the empty id, is refused like any other wrong signature.

pub mod certificate;
pub mod crl;
pub mod enclosed;
pub mod extensions;
pub mod known;
pub mod licence;
pub mod name;
pub mod ocsp;
pub mod path;
pub mod revocation;
pub mod seal_status;
pub mod signature;
pub mod signed;
pub mod subject;
pub mod timestamp;
pub mod trust;
pub mod trust_list;

pub use certificate::{Certificate, CertificateError};
pub use crl::Crl;
pub use enclosed::Enclosed;
pub use known::{Known, SealFacts};
pub use licence::Licence;
pub use name::Name;
pub use ocsp::OcspResponse;
pub use path::{PathFinder, PathOutcome};
pub use seal_status::StatusList;
pub use subject::{SubjectCode, subject_codes};
pub use timestamp::TimeStampToken;
pub use trust::{Purpose, TrustFile, TrustRole, TrustStore};
pub use trust_list::{SignedTrustList, TrustList};
