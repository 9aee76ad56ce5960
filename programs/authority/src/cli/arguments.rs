//! What the command line takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sealauthority::{CertificateProfile, RevocationReason};

/// A region's certificate authority and seal maker, for pilots and tests.
#[derive(Debug, Parser)]
#[command(name = "sealauthority", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a region: root, CA, seal maker, revocation lists.
    Init(Init),
    /// Issue a certificate from a request (PKCS#10, PEM or DER).
    Issue(Issue),
    /// Make a seal for certificates that were issued, its picture drawn or given.
    Seal(SealArguments),
    /// Make a virtual UKey with key, certificate and seal on it.
    Ukey(Ukey),
    /// Revoke a certificate and make new revocation lists.
    Revoke(Revoke),
    /// Make new revocation lists.
    Crl(Open),
    /// Write what verifiers need (anchors, makers, intermediates, lists) into a folder, beside other regions' files.
    TrustFolder {
        /// Which authority.
        #[command(flatten)]
        region: Open,
        /// The trust folder; made when absent.
        out: PathBuf,
    },
}

/// An authority that is there.
#[derive(Args, Debug)]
pub struct Open {
    /// The authority's folder.
    pub folder: PathBuf,
    /// Read the passphrase of its keys from this descriptor instead of asking.
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

/// `init`
#[derive(Args, Debug)]
pub struct Init {
    /// The authority's folder: absent or empty.
    pub folder: PathBuf,
    /// Short name, for file names and reports: lower-case letters, digits, hyphens.
    #[arg(long, value_name = "ID")]
    pub region: String,
    /// Name for people and certificates.
    #[arg(long)]
    pub name: String,
    /// Administrative division, six digits, with which seal codes begin.
    #[arg(long, default_value = "000000", value_name = "DIGITS")]
    pub division: String,
    /// Leave the private keys unencrypted: only for a pilot on a machine of its own.
    #[arg(long, conflicts_with = "passphrase_fd")]
    pub pilot: bool,
    /// Read the new passphrase from this descriptor instead of asking.
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

/// Whose certificate it is.
#[derive(Args, Debug)]
pub struct Owner {
    /// Unified social credit code.
    #[arg(long)]
    pub uscc: String,
    /// Name of the company.
    #[arg(long)]
    pub name: String,
    /// Seal code, which is also the certificate's common name; the next free one when absent.
    #[arg(long, value_name = "ESID")]
    pub code: Option<String>,
}

/// `issue`
#[derive(Args, Debug)]
pub struct Issue {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// The request.
    pub request: PathBuf,
    /// What the certificate is for.
    #[arg(long, value_enum, default_value_t = Profile::CompanySigning)]
    pub profile: Profile,
    /// Unified social credit code of the company, for a subject that the authority decides instead of the name in the request.
    #[arg(long, requires = "name")]
    pub uscc: Option<String>,
    /// Name of the company.
    #[arg(long, requires = "uscc")]
    pub name: Option<String>,
    /// Seal code, which is then the certificate's common name; the next free one when absent.
    #[arg(long, value_name = "ESID", requires = "uscc")]
    pub code: Option<String>,
    /// How long it counts.
    #[arg(long, default_value_t = 3 * 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Where the certificate goes (PEM).
    #[arg(short, long)]
    pub out: PathBuf,
}

impl Issue {
    /// Whose certificate it becomes, if not that of the name in the request.
    pub fn owner(&self) -> Option<Owner> {
        Some(Owner { uscc: self.uscc.clone()?, name: self.name.clone()?, code: self.code.clone() })
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Profile {
    CompanyEncryption,
    CompanySigning,
    CrlSigner,
    OcspResponder,
    SealMaker,
    TimeStampAuthority,
}

impl From<Profile> for CertificateProfile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::CompanyEncryption => Self::CompanyEncryption,
            Profile::CompanySigning => Self::CompanySigning,
            Profile::CrlSigner => Self::CrlSigner,
            Profile::OcspResponder => Self::OcspResponder,
            Profile::SealMaker => Self::SealMaker,
            Profile::TimeStampAuthority => Self::TimeStampAuthority,
        }
    }
}

/// Which standard's structure.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SealVersion {
    /// GM/T 0031-2014
    V1,
    /// GB/T 38540-2020
    V4,
    /// GM/T 0031-2025
    V5,
}

/// A picture that is given instead of drawn.
#[derive(Args, Debug)]
pub struct PictureFrom {
    /// PNG, JPG, GIF or BMP file to use instead of a drawn round seal.
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Width of that picture.
    #[arg(long, default_value_t = 40, value_name = "MM", value_parser = clap::value_parser!(u64).range(1..=200))]
    pub width_mm: u64,
    /// Its height; as wide as high when absent.
    #[arg(long, value_name = "MM", value_parser = clap::value_parser!(u64).range(1..=200))]
    pub height_mm: Option<u64>,
}

/// `seal`
#[derive(Args, Debug)]
pub struct SealArguments {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// Certificate of a key that may use the seal (several allowed).
    #[arg(long = "certificate", value_name = "FILE", required = true)]
    pub certificates: Vec<PathBuf>,
    /// Name on the seal.
    #[arg(long)]
    pub name: String,
    /// What the seal is for (合同专用章); the name seal has none.
    #[arg(long)]
    pub caption: Option<String>,
    /// Seal code; the next free one when absent.
    #[arg(long, value_name = "ESID")]
    pub code: Option<String>,
    /// The picture.
    #[command(flatten)]
    pub picture: PictureFrom,
    /// Which standard's structure.
    #[arg(long, value_enum, default_value_t = SealVersion::V4)]
    pub version: SealVersion,
    /// How long it counts.
    #[arg(long, default_value_t = 3 * 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Where the seal goes (DER).
    #[arg(short, long)]
    pub out: PathBuf,
}

/// `ukey`
#[derive(Args, Debug)]
pub struct Ukey {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// Folder of the virtual tokens; made when absent.
    #[arg(long, value_name = "FOLDER")]
    pub tokens: PathBuf,
    /// Label of the new token.
    #[arg(long)]
    pub label: String,
    /// Whose it is.
    #[command(flatten)]
    pub owner: Owner,
    /// What the seal is for (合同专用章); the name seal has none.
    #[arg(long)]
    pub caption: Option<String>,
    /// The picture.
    #[command(flatten)]
    pub picture: PictureFrom,
    /// Which standard's structure the seal has.
    #[arg(long, value_enum, default_value_t = SealVersion::V4)]
    pub version: SealVersion,
    /// How long certificate and seal count.
    #[arg(long, default_value_t = 3 * 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Read the new token's PIN from this descriptor instead of asking.
    #[arg(long, value_name = "N")]
    pub pin_fd: Option<u32>,
    /// Print JSON for programs.
    #[arg(long)]
    pub json: bool,
}

/// `revoke`
#[derive(Args, Debug)]
pub struct Revoke {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Why.
    #[arg(long, value_enum)]
    pub reason: Option<Reason>,
}

/// Why a certificate is revoked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Reason {
    AffiliationChanged,
    CaCompromise,
    CertificateHold,
    CessationOfOperation,
    KeyCompromise,
    PrivilegeWithdrawn,
    Superseded,
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::AffiliationChanged => Self::AffiliationChanged,
            Reason::CaCompromise => Self::CaCompromise,
            Reason::CertificateHold => Self::CertificateHold,
            Reason::CessationOfOperation => Self::CessationOfOperation,
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            Reason::Superseded => Self::Superseded,
        }
    }
}
