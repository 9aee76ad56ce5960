//! `publish`, `licence`, `suspend` and their kind: what a region says, and changes, after its seals were made.

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::licence::{Licence, LicenceState};
use sealagent::pki::seal_status::SealState;
use sealagent::pki::trust_list::{Location, LocationUse, Pointer, SignedTrustList};
use sealagent::ses::{Picture, Version};
use sealagent::sm::sm3;
use sealauthority::key::PLAIN_KEY_WARNING;
use sealauthority::region::{read_certificate, read_file, write_whole};
use sealauthority::serve::Service;
use sealauthority::{Publication, Region, Role};

use super::arguments::{self, CompanyState, ListKeyStep, Open, Publish, Seals};
use super::{Failure, draft, open};

/// Seals of one transaction.
const STEP: u64 = 1_000;

/// Runs `suspend`, `cancel`, `reinstate`.
pub fn change(arguments: &arguments::SealState, state: SealState, now: Timestamp) -> Result<String, Failure> {
    open(&arguments.region)?.change_seal(&arguments.es_id, state, now)?;
    let said = match state {
        SealState::Valid => "reinstated / 已恢复",
        SealState::Suspended => "suspended / 已暂停",
        SealState::Cancelled => "cancelled / 已注销",
    };
    Ok(format!("{} {said}\n", arguments.es_id))
}

/// Runs `publish`.
pub fn publish(arguments: &Publish, now: Timestamp) -> Result<String, Failure> {
    publish_region(&mut open(&arguments.region)?, arguments, now)
}

fn publish_region(region: &mut Region, arguments: &Publish, now: Timestamp) -> Result<String, Failure> {
    let mut publication = Publication {
        base_url: arguments.url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
        private: arguments.private,
        fresh_for: SignedDuration::from_mins(i64::from(arguments.fresh_minutes)),
        pointers: Vec::new(),
    };
    if arguments.status_only {
        region.publish_status(&arguments.out, publication.fresh_for, now)?;
        return Ok(format!("{}\n", arguments.out.display()));
    }
    for pointer in &arguments.point_to {
        publication.pointers.push(point_to(pointer, arguments.private)?);
    }
    region.publish(&arguments.out, &publication, now)?;
    let signer = region.certificate(Role::List)?;
    Ok(format!("{}\nSHA-256 {}\n", arguments.out.display(), signer.sha256_hex()))
}

/// Runs `serve`: prints the address once it listens.
pub fn serve(arguments: &arguments::Serve, now: Timestamp) -> Result<String, Failure> {
    use std::io::Write as _;
    let mut region = open(&arguments.publish.region)?;
    print!("{}", publish_region(&mut region, &arguments.publish, now)?);
    let service = Service {
        published: arguments.publish.out.clone(),
        fresh_for: SignedDuration::from_mins(i64::from(arguments.publish.fresh_minutes)),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|reason| Failure::new("internal", &[("reason", &reason)]))?;
    let bound = |address| {
        println!("http://{address}/");
        let _ = std::io::stdout().flush();
    };
    runtime.block_on(sealauthority::serve::serve(region, service, arguments.listen, bound))?;
    Ok(String::new())
}

fn point_to(argument: &str, private: bool) -> Result<Pointer, Failure> {
    let (url, file) = argument.split_once('=').ok_or_else(|| Failure::new("pointer", &[("found", &argument)]))?;
    let list = SignedTrustList::parse(&read_file(file.as_ref())?)
        .map_err(|reason| Failure::new("malformed", &[("path", &file), ("reason", &reason)]))?;
    Ok(Pointer {
        region: list.list().region.clone(),
        name: list.list().name.clone(),
        location: Location { kind: LocationUse::TrustList, url: url.to_owned(), private },
        signers: list.list().signers.iter().map(|certificate| *certificate.sha256()).collect(),
    })
}

/// Runs `withdraw`.
pub fn withdraw(region: &Open, service: arguments::Service, now: Timestamp) -> Result<String, Failure> {
    let role = match service {
        arguments::Service::Ca => Role::Ca,
        arguments::Service::Maker => Role::Maker,
        arguments::Service::Registry => Role::Registry,
        arguments::Service::Root => Role::Root,
        arguments::Service::Status => Role::Status,
        arguments::Service::Tsa => Role::TimeStamp,
    };
    open(region)?.withdraw(role, now)?;
    Ok(format!("{} withdrawn / 已撤回；publish next / 请重新发布\n", role.as_str()))
}

/// Runs `list-key`.
pub fn list_key(arguments: &Open, step: ListKeyStep, now: Timestamp) -> Result<String, Failure> {
    let region = open(arguments)?;
    let certificate = match step {
        ListKeyStep::Announce => {
            if !Region::needs_passphrase(&arguments.folder) {
                eprint!("{PLAIN_KEY_WARNING}");
            }
            region.announce_list_key(now)?
        }
        ListKeyStep::Switch => region.switch_list_key()?,
    };
    Ok(format!("SHA-256 {}\n", certificate.sha256_hex()))
}

/// Runs `licence`.
pub fn licence(arguments: &arguments::Licence, now: Timestamp) -> Result<String, Failure> {
    let evidence = arguments.evidence.as_ref().map(|path| read_file(path)).transpose()?;
    let licence = Licence {
        region: String::new(), // the region says which it is
        uscc: arguments.uscc.clone(),
        name: arguments.name.clone(),
        representative: arguments.representative.clone(),
        state: match arguments.state {
            CompanyState::Abnormal => LicenceState::Abnormal,
            CompanyState::Active => LicenceState::Active,
            CompanyState::Cancelled => LicenceState::Cancelled,
            CompanyState::Revoked => LicenceState::Revoked,
        },
        state_since: arguments.since.unwrap_or(arguments.valid_from),
        valid_from: arguments.valid_from,
        valid_to: arguments.valid_to,
        as_of: now,
        fresh_until: now + SignedDuration::from_hours(i64::from(arguments.hours)),
        source: "sealauthority".to_owned(),
        evidence: evidence.map(|bytes| sm3(&bytes)),
    };
    write_whole(&arguments.out, &open(&arguments.region)?.licence(licence)?)?;
    Ok(format!("{} {}\n", arguments.uscc, arguments.name))
}

/// Runs `seals`. What was printed is on disk.
pub fn seals(arguments: &Seals, now: Timestamp) -> Result<String, Failure> {
    use std::io::Write as _;
    let region = open(&arguments.region)?;
    region.check_clock(now)?;
    let certificate = read_certificate(&arguments.certificate)?;
    let picture = Picture::new("PNG", DOT.to_vec(), 40, 40);
    let draft = draft(&arguments.name, None, "", vec![certificate], picture, now, 365);
    let mut left = arguments.count;
    while left > 0 {
        let made = region.make_seals(&draft, Version::V4, left.min(STEP))?;
        left -= made.len() as u64;
        if let (Some(first), Some(last)) = (made.first(), made.last()) {
            println!("{} {}", first.es_id(), last.es_id());
            let _ = std::io::stdout().flush();
        }
    }
    Ok(String::new())
}

/// The picture of seals that are made by the thousand: one red dot, PNG.
const DOT: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc8!\xa0\x07\0\x02\xaa\x01\x07\x82%\x9a\xee\0\0\0\0IEND\xaeB`\x82";
