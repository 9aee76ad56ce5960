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
    /// List the signing keys on tokens, with the fingerprints by which `init --on-token` takes them.
    Tokens {
        /// How they are reached: pcsc, or pkcs11 LIBRARY [PROFILE], or skf LIBRARY [PROFILE], or virtual FOLDER.
        #[arg(required = true, num_args = 1..=3)]
        driver: Vec<String>,
    },
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
    /// Suspend a seal from now on.
    Suspend(SealState),
    /// Cancel a seal from now on, for ever.
    Cancel(SealState),
    /// Make a suspended seal valid again from now on.
    Reinstate(SealState),
    /// Make many seals alike but for their codes, in steps of a thousand; prints each step's last code once the step is on disk.
    Seals(Seals),
    /// Sign what the registry says of a company: the licence as proof of the subject.
    Licence(Licence),
    /// Write trust list, seal status and revocation lists into a folder that any web server can carry.
    Publish(Publish),
    /// Publish, then serve the files, seal status (/status), OCSP (/ocsp) and time stamps (/tsa) over http until stopped.
    Serve(Serve),
    /// Judge files that portals send (POST /v1/verifications), with /healthz and /metrics, until stopped. Needs no region and holds no key.
    VerifyService(VerifyService),
    /// Withdraw a service in the trust list from now on.
    Withdraw {
        /// Which authority.
        #[command(flatten)]
        region: Open,
        /// Which service.
        #[arg(value_enum)]
        service: Service,
    },
    /// Roll the list key over: announce the next one, and when every reader had a list that names it, switch.
    ListKey {
        /// Which authority.
        #[command(flatten)]
        region: Open,
        /// Which half.
        #[arg(value_enum)]
        step: ListKeyStep,
    },
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
    /// Keep the records in this PostgreSQL database instead of a file in the folder: postgres://[USER@][HOST]/DATABASE[?OPTIONS]. No
    /// password stands in it: it comes from PGPASSFILE or ~/.pgpass, or is asked for.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Let sslmode=disable pass for a database on another machine, as behind a tunnel.
    #[arg(long, requires = "database")]
    pub plaintext_database: bool,
    /// Use a key that is on a token: role, an equals sign, fingerprint as `tokens` prints it, or its first 16 digits or more (for root,
    /// ca and maker; several allowed).
    #[arg(long, value_name = "ROLE=FINGERPRINT", requires = "token_driver")]
    pub on_token: Vec<String>,
    /// How those tokens are reached: pcsc, or pkcs11,LIBRARY[,PROFILE], or skf,LIBRARY[,PROFILE], or virtual,FOLDER.
    #[arg(long, value_name = "DRIVER", value_delimiter = ',')]
    pub token_driver: Vec<String>,
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

/// `suspend`, `cancel`, `reinstate`
#[derive(Args, Debug)]
pub struct SealState {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// Seal code.
    #[arg(value_name = "ESID")]
    pub es_id: String,
}

/// `seals`
#[derive(Args, Debug)]
pub struct Seals {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// How many.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub count: u64,
    /// Certificate of the key that may use them.
    #[arg(long, value_name = "FILE")]
    pub certificate: PathBuf,
    /// Name on the seals.
    #[arg(long)]
    pub name: String,
}

/// `licence`
#[derive(Args, Debug)]
pub struct Licence {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// Unified social credit code.
    #[arg(long)]
    pub uscc: String,
    /// Name of the company.
    #[arg(long)]
    pub name: String,
    /// Its legal representative.
    #[arg(long, default_value = "")]
    pub representative: String,
    /// Its state.
    #[arg(long, value_enum, default_value_t = CompanyState::Active)]
    pub state: CompanyState,
    /// Since when it is in that state; first day of the licence when absent.
    #[arg(long, value_name = "TIME")]
    pub since: Option<jiff::Timestamp>,
    /// First day of the licence.
    #[arg(long, value_name = "TIME", default_value = "2000-01-01T00:00:00Z")]
    pub valid_from: jiff::Timestamp,
    /// Its last day; without end when absent.
    #[arg(long, value_name = "TIME")]
    pub valid_to: Option<jiff::Timestamp>,
    /// The licence file that was looked at: its SM3 is put into the statement.
    #[arg(long, value_name = "FILE")]
    pub evidence: Option<PathBuf>,
    /// How long the statement may be used, in hours.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8760))]
    pub hours: u32,
    /// Where the statement goes.
    #[arg(short, long)]
    pub out: PathBuf,
}

/// State of a company.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CompanyState {
    Abnormal,
    Active,
    Cancelled,
    Revoked,
}

/// `publish`
#[derive(Args, Debug)]
pub struct Publish {
    /// Which authority.
    #[command(flatten)]
    pub region: Open,
    /// The folder; made when absent.
    pub out: PathBuf,
    /// Where the folder will be found: http://host[:port]/path. Without it the lists name no place, and are carried by hand.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The address is a private one, and may be asked all the same.
    #[arg(long, requires = "url")]
    pub private: bool,
    /// How long seal status counts, in minutes: after that a cancelled seal is refused everywhere.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=43200))]
    pub fresh_minutes: u32,
    /// Point to another region's list: its address, an equals sign, a copy of the list (several allowed).
    #[arg(long, value_name = "URL=FILE")]
    pub point_to: Vec<String>,
    /// Only seal status, as a timer wants it.
    #[arg(long)]
    pub status_only: bool,
}

/// `serve`
#[derive(Args, Debug)]
pub struct Serve {
    /// What to publish, and where it will be found.
    #[command(flatten)]
    pub publish: Publish,
    /// Where to listen. Only where a firewall or a web server stands in front is anything but this machine a good answer.
    #[arg(long, default_value = "127.0.0.1:8060")]
    pub listen: std::net::SocketAddr,
}

/// `verify-service`
#[derive(Args, Debug)]
pub struct VerifyService {
    /// Folder with anchors, makers, tsa, intermediates, crls, ocsp and accepted regions; or files that regions signed, trust lists first,
    /// which are believed because they are named here (several allowed). Changed files are read anew.
    #[arg(long, value_name = "DIR|FILE", required = true)]
    pub trust: Vec<PathBuf>,
    /// Where to listen. Only where a load balancer stands in front is anything but this machine a good answer.
    #[arg(long, default_value = "127.0.0.1:8061")]
    pub listen: std::net::SocketAddr,
    /// Largest file, in MiB.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub max_mib: u64,
    /// Files that are received and judged at a time; a further one is answered 503.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrent: u16,
    /// How long one request may take, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Folder for the files while they are judged; they have no name there. The system's folder for temporary files when absent.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// Services of the trust list that can be withdrawn.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Service {
    Ca,
    Maker,
    Registry,
    Root,
    Status,
    Tsa,
}

/// Halves of a roll-over.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ListKeyStep {
    Announce,
    Switch,
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
