//! A region's side, for pilots and tests: certificate authority, seal maker, revocation lists, time stamps, and the folder that
//! verifiers trust. Never part of the agent. [`verify_service`] stands beside it: the agent's verifier behind a load balancer, without a key.
//!
//! Two layers. Functions from values to DER ([`certificate`], [`request`], [`crl`], [`ocsp`], [`timestamp`], [`seal`]) know no file
//! and no clock: whoever issues says when, and keeps count of serial numbers. [`region`] is one authority's state in a folder on
//! top of them, and what the program `sealauthority` drives.
//!
//! Everything written is strict DER in the profile of GB/T 20518: SM2-with-SM3 without parameters, the default SM2 id, signatures
//! as DER `SEQUENCE { r, s }`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod certificate;
mod connections;
pub mod crl;
pub mod identity;
pub mod key;
pub mod name;
pub mod ocsp;
pub mod oid;
pub mod pem;
pub mod picture;
pub mod publish;
pub mod region;
pub mod request;
pub mod seal;
pub mod serve;
pub mod statement;
pub mod store;
pub mod time;
pub mod timestamp;
pub mod token;
pub mod verify_service;

pub use certificate::{CertificateProfile, IssueError, SerialNumber, Validity, issue_certificate, self_signed};
pub use crl::{CrlContents, RevocationReason, RevokedCertificate, issue_crl};
pub use identity::{Identity, IdentityError};
pub use key::{Key, KeyError, PrivateKey};
pub use name::{Name, NameError};
pub use ocsp::{CertificateStatus, SingleResponse, issue_ocsp_response};
pub use picture::{Fonts, PictureError, RoundSeal, draw_round_seal};
pub use publish::Publication;
pub use region::{Access, InitOptions, KeyProtection, Region, RegionError, RegionNames, Role};
pub use request::{CertificationRequest, RequestError};
pub use seal::{SealError, make_seal};
pub use statement::{StatementError, issue_licence, issue_status_answer, issue_status_list, issue_trust_list};
pub use store::{Address, AddressError, Counter, Database, Store, StoreError};
pub use timestamp::issue_time_stamp;
pub use token::{TokenError, TokenKey, TokenPlace, Tokens};
