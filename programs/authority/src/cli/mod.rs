//! The command line: arguments, one function per subcommand, exit code. What goes wrong becomes a [`Failure`] in two languages.

mod arguments;
mod failure;
mod publish;
mod secret;
mod ukey;
mod verify_service;

pub use arguments::Arguments;
pub use failure::{Failure, Language};

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::seal_status::SealState;
use sealagent::pki::subject::is_uscc;
use sealagent::ses::{CertList, Picture, SealDraft, Version};
use sealauthority::key::PLAIN_KEY_WARNING;
use sealauthority::region::{read_certificate, read_file, write_whole};
use sealauthority::token::{DriverWords, fingerprint, installed_worker};
use sealauthority::{
    Access, Address, CertificationRequest, Database, Fonts, InitOptions, KeyProtection, Name, Region, RegionError, RegionNames,
    Role, RoundSeal, SerialNumber, StoreError, TokenPlace, Tokens, draw_round_seal, pem,
};
use zeroize::Zeroizing;

use arguments::{Command, Init, Issue, Open, Owner, PictureFrom, Revoke, SealArguments, SealVersion};

/// Carries one command out; gives what to print.
pub fn run(arguments: Arguments, now: Timestamp) -> Result<String, Failure> {
    match arguments.command {
        Command::Init(init) => make_region(&init, now),
        Command::Tokens { driver } => list_tokens(&driver),
        Command::Issue(issue) => issue_from_request(&issue, now),
        Command::Seal(seal) => make_seal(&seal, now),
        Command::Ukey(ukey) => ukey::make(&ukey, now),
        Command::Revoke(revoke) => revoke_certificate(&revoke, now),
        Command::Crl(region) => {
            open(&region)?.renew_crls(now)?;
            Ok("made new revocation lists / 已生成新的证书撤销列表\n".to_owned())
        }
        Command::Suspend(seal) => publish::change(&seal, SealState::Suspended, now),
        Command::Cancel(seal) => publish::change(&seal, SealState::Cancelled, now),
        Command::Reinstate(seal) => publish::change(&seal, SealState::Valid, now),
        Command::Seals(seals) => publish::seals(&seals, now),
        Command::Licence(licence) => publish::licence(&licence, now),
        Command::Publish(arguments) => publish::publish(&arguments, now),
        Command::Serve(arguments) => publish::serve(&arguments, now),
        Command::VerifyService(arguments) => verify_service::run(arguments),
        Command::Withdraw { region, service } => publish::withdraw(&region, service, now),
        Command::ListKey { region, step } => publish::list_key(&region, step, now),
        Command::TrustFolder { region, out } => {
            open(&region)?.write_trust_folder(&out)?;
            Ok(format!("{}\n", out.display()))
        }
    }
}

fn make_region(arguments: &Init, now: Timestamp) -> Result<String, Failure> {
    Region::check_vacant(&arguments.folder)?;
    let address = arguments.database.as_ref().map(|url| Address::parse(url, arguments.plaintext_database)).transpose()?;
    let protection = match arguments.pilot {
        true => {
            eprint!("{PLAIN_KEY_WARNING}");
            KeyProtection::PlainForPilot
        }
        false => KeyProtection::Passphrase(secret::new_passphrase(arguments.passphrase_fd)?),
    };
    if arguments.division.len() != 6 || !arguments.division.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Failure::new("division", &[("found", &arguments.division)]));
    }
    let names = RegionNames { id: arguments.region.clone(), name: arguments.name.clone(), division: arguments.division.clone() };
    let tokens = tokens();
    let on_token: Result<Vec<_>, _> =
        arguments.on_token.iter().map(|key| on_token(key, &arguments.token_driver, &tokens)).collect();
    let on_token = on_token?;
    let region = with_password(|password| {
        let database = address.clone().map(|address| Database { address, password });
        let options = InitOptions { database, on_token: on_token.clone(), tokens: tokens.clone() };
        Region::init_with(&arguments.folder, &names, &protection, &options, now)
    })?;
    let mut out = String::new();
    for (who, identity) in [("root", region.root()), ("ca", region.ca()), ("maker", region.maker())] {
        let _ = writeln!(out, "{who:<6} {}  SHA-256 {}", identity.certificate().subject(), identity.certificate().sha256_hex());
    }
    Ok(out)
}

fn issue_from_request(arguments: &Issue, now: Timestamp) -> Result<String, Failure> {
    let mut region = open(&arguments.region)?;
    let der = pem::decode(&read_file(&arguments.request)?, &pem::REQUEST)
        .ok_or_else(|| Failure::new("not-a-request", &[("path", &arguments.request.display())]))?;
    let request = CertificationRequest::read(&der)?;
    let subject = match arguments.owner() {
        Some(owner) => subject_of(&owner, &owner_code(&mut region, &owner)?)?,
        None => request.subject().clone(),
    };
    let profile = arguments.profile.into();
    let certificate = region.issue(profile, &subject, request.public_key(), now, arguments.days)?;
    write_whole(&arguments.out, pem::encode(pem::CERTIFICATE, &certificate).as_bytes())?;
    Ok(format!("{}\n", describe(&certificate)))
}

fn make_seal(arguments: &SealArguments, now: Timestamp) -> Result<String, Failure> {
    let mut region = open(&arguments.region)?;
    region.check_clock(now)?;
    let certificates: Result<Vec<_>, _> = arguments.certificates.iter().map(|path| read_certificate(path)).collect();
    let code = match &arguments.code {
        Some(code) => code.clone(),
        None => region.next_seal_code()?,
    };
    let picture = picture(&arguments.picture, &arguments.name, arguments.caption.as_deref(), &code)?;
    let draft = draft(&arguments.name, arguments.caption.as_deref(), &code, certificates?, picture, now, arguments.days);
    let seal = region.make_seal(&draft, version(arguments.version))?;
    write_whole(&arguments.out, seal.raw())?;
    Ok(format!("{code} {}\n", draft.name))
}

fn revoke_certificate(arguments: &Revoke, now: Timestamp) -> Result<String, Failure> {
    let serial: SerialNumber = arguments.serial.parse().map_err(|_| Failure::new("serial", &[("found", &arguments.serial)]))?;
    open(&arguments.region)?.revoke(&serial, arguments.reason.map(Into::into), now)?;
    Ok(format!("{serial} revoked / 已撤销\n"))
}

fn open(arguments: &Open) -> Result<Region, Failure> {
    // Asked for only where it is needed; what is wrong with the folder, `Region::open_with` says.
    let encrypted = Region::needs_passphrase(&arguments.folder);
    let passphrase = encrypted.then(|| secret::passphrase(arguments.passphrase_fd)).transpose()?;
    let access = Access { passphrase, password: None, tokens: tokens() };
    with_password(|password| Region::open_with(&arguments.folder, Access { password, ..access.clone() }))
}

/// Tokens whose PINs are asked for in the terminal.
fn tokens() -> Tokens {
    Tokens::new(installed_worker(), secret::pin)
}

fn driver(words: &[String]) -> Result<DriverWords, Failure> {
    DriverWords::new(words).ok_or_else(|| Failure::new("token-driver", &[("found", &words.join(" "))]))
}

/// One key of `init --on-token`.
fn on_token(argument: &str, words: &[String], tokens: &Tokens) -> Result<(Role, TokenPlace), Failure> {
    let wrong = || Failure::new("on-token", &[("found", &argument)]);
    let (role, digits) = argument.split_once('=').ok_or_else(wrong)?;
    let roles = [Role::Root, Role::Ca, Role::Maker];
    let role = roles.into_iter().find(|known| known.as_str() == role).ok_or_else(wrong)?;
    Ok((role, tokens.find(&driver(words)?, digits)?))
}

fn list_tokens(words: &[String]) -> Result<String, Failure> {
    let mut out = String::new();
    for (token, key) in tokens().keys(&driver(words)?)? {
        let _ = writeln!(out, "{}  {}  {}", fingerprint(&key.public_key), key.id, token.label);
    }
    Ok(out)
}

/// Asks for the password of the database, if there is one that asks for it.
fn with_password(attempt: impl Fn(Option<Zeroizing<String>>) -> Result<Region, RegionError>) -> Result<Region, Failure> {
    match attempt(None) {
        Err(RegionError::Store(StoreError::PasswordNeeded { user, host })) => {
            Ok(attempt(Some(secret::database_password(&user, &host)?))?)
        }
        done => Ok(done?),
    }
}

fn owner_code(region: &mut Region, owner: &Owner) -> Result<String, Failure> {
    match &owner.code {
        Some(code) => Ok(code.clone()),
        None => Ok(region.next_seal_code()?),
    }
}

/// The subject of a company's certificate; refuses a USCC whose check character does not fit.
fn subject_of(owner: &Owner, code: &str) -> Result<Name, Failure> {
    if !is_uscc(owner.uscc.as_bytes()) {
        return Err(Failure::new("uscc", &[("found", &owner.uscc)]));
    }
    Ok(Name::seal_owner(&owner.uscc, &owner.name, code))
}

fn picture(from: &PictureFrom, name: &str, caption: Option<&str>, code: &str) -> Result<Picture, Failure> {
    let Some(path) = &from.picture else {
        let seal = RoundSeal { name: name.to_owned(), caption: caption.map(str::to_owned), code: Some(code.to_owned()) };
        return Ok(draw_round_seal(&seal, &Fonts::of_system())?);
    };
    let data = read_file(path)?;
    let kind = match data.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "PNG",
        [0xff, 0xd8, 0xff, ..] => "JPG",
        [b'G', b'I', b'F', b'8', ..] => "GIF",
        [b'B', b'M', ..] => "BMP",
        _ => return Err(Failure::new("picture-format", &[("path", &path.display())])),
    };
    Ok(Picture::new(kind, data, from.width_mm, from.height_mm.unwrap_or(from.width_mm)))
}

fn draft(
    name: &str,
    caption: Option<&str>,
    code: &str,
    certificates: Vec<Vec<u8>>,
    picture: Picture,
    now: Timestamp,
    days: u32,
) -> SealDraft {
    SealDraft {
        es_id: code.to_owned(),
        vid: "sealagent".to_owned(),
        kind: 1, // unit seal
        name: format!("{name}{}", caption.unwrap_or_default()),
        cert_list: CertList::Certificates(certificates),
        created: now,
        valid_from: now,
        valid_to: now + SignedDuration::from_hours(24 * i64::from(days)),
        picture,
        extensions: Vec::new(),
    }
}

fn version(version: SealVersion) -> Version {
    match version {
        SealVersion::V1 => Version::V1,
        SealVersion::V4 => Version::V4,
        SealVersion::V5 => Version::V5,
    }
}

/// Serial number and subject of a certificate that was just issued.
fn describe(certificate: &[u8]) -> String {
    match sealagent::pki::Certificate::parse(certificate) {
        Ok(certificate) => format!("{} {}", certificate.serial_hex(), certificate.subject()),
        Err(error) => error.to_string(),
    }
}
