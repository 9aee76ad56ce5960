//! Licence statements: what a region's registry says of a company (电子营业执照, trust.md §9), as proof of the subject of a seal.
//!
//! ```asn1
//! Licence ::= SEQUENCE {
//!     version         INTEGER (1),
//!     region          UTF8String,
//!     uscc            UTF8String,
//!     name            UTF8String,
//!     representative  UTF8String,                     -- legal representative, or empty
//!     state           ENUMERATED { active(0), abnormal(1), revoked(2), cancelled(3) },
//!     stateSince      GeneralizedTime,
//!     validFrom       GeneralizedTime,
//!     validTo         [0] EXPLICIT GeneralizedTime OPTIONAL,   -- absent: without end (长期)
//!     asOf            GeneralizedTime,
//!     freshUntil      GeneralizedTime,
//!     source          UTF8String,                     -- where the registry took it from
//!     evidenceSm3     OCTET STRING (SIZE (0 | 32)) }  -- of the licence file that was looked at
//! ```
//!
//! The licence proves who the company is, the seal that it acted. A statement says nothing by itself: [`Licence::check`] compares it with the
//! signer's certificate and the seal. No public format or query is known; a registry's own files are turned into this one.

use jiff::Timestamp;

use super::certificate::Certificate;
use super::name::{COMMON_NAME, ORGANIZATION};
use super::signed::{self, DocumentKind, Envelope, SignedError};
use super::subject::{bare_name, is_uscc, subject_codes};
use super::trust_list::{ServiceKind, TrustList, enumerated, enumerated_der};
use crate::asn1::{Asn1Error, INTEGER, OCTET_STRING, SEQUENCE, Tlv, context, der, der_of, integer, sequence};
use crate::sm::Sm3Digest;

/// Largest signed statement, in bytes: a certificate and some lines.
pub const MAX_LICENCE: usize = 64 << 10;

/// State of a company in its registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum LicenceState {
    /// 存续
    Active,
    /// 经营异常: it exists and may act, but owes the registry something.
    Abnormal,
    /// 吊销
    Revoked,
    /// 注销
    Cancelled,
}

const STATES: [LicenceState; 4] = [LicenceState::Active, LicenceState::Abnormal, LicenceState::Revoked, LicenceState::Cancelled];

impl LicenceState {
    /// Whether the company can act.
    pub fn may_act(self) -> bool {
        matches!(self, Self::Active | Self::Abnormal)
    }
}

/// What the registry says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Licence {
    /// The region whose registry speaks.
    pub region: String,
    /// Unified social credit code.
    pub uscc: String,
    /// Name of the company.
    pub name: String,
    /// Its legal representative, or empty.
    pub representative: String,
    /// Its state.
    pub state: LicenceState,
    /// Since when it is in this state.
    pub state_since: Timestamp,
    /// First day of the licence.
    pub valid_from: Timestamp,
    /// Its last day; `None` is without end.
    pub valid_to: Option<Timestamp>,
    /// When this was so.
    pub as_of: Timestamp,
    /// Until when the statement may be used.
    pub fresh_until: Timestamp,
    /// Where the registry took it from.
    pub source: String,
    /// SM3 of the licence file that was looked at.
    pub evidence: Option<Sm3Digest>,
}

/// In what a licence does not agree with a signature.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LicenceFault {
    /// The certificate has another code, or none, or several.
    #[error("the licence is for {licence}, the certificate for {found}")]
    Code {
        /// The licence's.
        licence: String,
        /// The certificate's.
        found: String,
    },
    /// The moment is outside the licence's dates.
    #[error("the licence does not count at {0}")]
    Dates(Timestamp),
    /// The certificate is for another name.
    #[error("the licence is for {licence}, the certificate for {found}")]
    Name {
        /// The licence's.
        licence: String,
        /// The certificate's.
        found: String,
    },
    /// The seal bears another name.
    #[error("the licence is for {licence}, the seal is named {found}")]
    Seal {
        /// The licence's.
        licence: String,
        /// The seal's.
        found: String,
    },
    /// The company could not act.
    #[error("the company is {state:?} since {since}")]
    State {
        /// Its state.
        state: LicenceState,
        /// Since when.
        since: Timestamp,
    },
}

impl Licence {
    /// The one encoding.
    pub fn to_der(&self) -> Vec<u8> {
        sequence(&[
            &integer(1),
            &signed::text_der(&self.region),
            &signed::text_der(&self.uscc),
            &signed::text_der(&self.name),
            &signed::text_der(&self.representative),
            &enumerated_der(&self.state, &STATES),
            &signed::time_der(self.state_since),
            &signed::time_der(self.valid_from),
            &self.valid_to.map_or(Vec::new(), |at| der_of(context(0), &[&signed::time_der(at)])),
            &signed::time_der(self.as_of),
            &signed::time_der(self.fresh_until),
            &signed::text_der(&self.source),
            &der(OCTET_STRING, self.evidence.as_ref().map_or(&[], |digest| &digest.0)),
        ])
    }

    /// Reads the contents of a statement.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedError> {
        let mut fields = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
        if fields.next(INTEGER)?.small_integer()? != 1 {
            return Err(SignedError::Value("a version of the statement that is not known here"));
        }
        let out = Self {
            region: signed::region(fields.any()?)?,
            uscc: signed::text(fields.any()?)?,
            name: signed::text(fields.any()?)?,
            representative: signed::text(fields.any()?)?,
            state: enumerated(fields.any()?, &STATES)?,
            state_since: signed::time(fields.any()?)?,
            valid_from: signed::time(fields.any()?)?,
            valid_to: fields.optional(context(0))?.map(|tlv| signed::time(Tlv::read_all(tlv.value)?)).transpose()?,
            as_of: signed::time(fields.any()?)?,
            fresh_until: signed::time(fields.any()?)?,
            source: signed::text(fields.any()?)?,
            evidence: match fields.next(OCTET_STRING)?.value {
                [] => None,
                digest => Some(Sm3Digest(digest.try_into().map_err(|_| Asn1Error::Value(OCTET_STRING))?)),
            },
        };
        fields.end()?;
        if out.to_der() != bytes {
            return Err(SignedError::NotStrict("the statement is not in its one encoding"));
        }
        if !is_uscc(out.uscc.as_bytes()) || out.name.is_empty() || out.fresh_until < out.as_of {
            return Err(SignedError::Value("a licence without name, with a wrong code, or with dates that do not fit"));
        }
        Ok(out)
    }

    /// Reads a signed statement by the registry of the region of `list`.
    pub fn read(list: &TrustList, bytes: &[u8]) -> Result<Self, SignedError> {
        let envelope = Envelope::parse(DocumentKind::Licence, bytes, MAX_LICENCE)?;
        let licence = Self::parse(envelope.content())?;
        envelope.check_signer(licence.as_of)?;
        if licence.region != list.region {
            return Err(SignedError::OtherRegion(licence.region));
        }
        if !list.grants(ServiceKind::Registry, envelope.signer(), licence.as_of) {
            return Err(SignedError::SignerUnfit(envelope.signer().subject().to_string()));
        }
        Ok(licence)
    }

    /// Whether the statement may be used at `now`.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.as_of <= now + super::trust::CLOCK_SKEW && now <= self.fresh_until
    }

    /// Compares with the certificate and the seal of a signature made at `at`. A seal bears the company's name first, or is its
    /// representative's own.
    pub fn check(&self, signer: &Certificate, seal_name: Option<&str>, at: Timestamp) -> Result<(), LicenceFault> {
        let codes = subject_codes(signer);
        if !matches!(codes.as_slice(), [only] if only.uscc == self.uscc) {
            let found: Vec<_> = codes.into_iter().map(|code| code.uscc).collect();
            let found = if found.is_empty() { signer.subject().short() } else { found.join(", ") };
            return Err(LicenceFault::Code { licence: self.uscc.clone(), found });
        }
        let name = bare_name(&self.name);
        let names = [ORGANIZATION, COMMON_NAME];
        if !names.iter().filter_map(|oid| signer.subject().text_of(oid)).any(|found| bare_name(found) == name) {
            return Err(LicenceFault::Name { licence: self.name.clone(), found: signer.subject().short() });
        }
        if let Some(found) = seal_name {
            let seal = bare_name(found);
            // Blanks are no name, though every text begins with them.
            let representative = bare_name(&self.representative);
            let is_representative = !representative.is_empty() && seal.starts_with(&representative);
            if !seal.starts_with(&name) && !is_representative {
                return Err(LicenceFault::Seal { licence: self.name.clone(), found: found.to_owned() });
            }
        }
        if !self.state.may_act() && self.state_since <= at {
            return Err(LicenceFault::State { state: self.state, since: self.state_since });
        }
        if at < self.valid_from || self.valid_to.is_some_and(|to| to < at) {
            return Err(LicenceFault::Dates(at));
        }
        Ok(())
    }
}
