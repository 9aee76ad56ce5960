//! An authority of a test, on either store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use sealagent::ses::Version;
use sealagent::sm::{Sm3Digest, sm3};
use sealauthority::region::write_whole;
use sealauthority::{Address, Database, InitOptions, KeyProtection, Region, RegionError, RegionNames, Store, StoreError, pem};

use super::cluster;
use super::company::{certificate, draft};

#[derive(Clone, Copy)]
pub enum Kind {
    Postgres,
    Sqlite,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

pub fn now() -> Timestamp {
    "2026-11-24T06:00:00Z".parse().unwrap()
}

pub fn hours(n: i64) -> Timestamp {
    now() + SignedDuration::from_hours(n)
}

/// A folder, and a database that is nobody else's.
pub struct Rig {
    pub temp: tempfile::TempDir,
    pub address: Option<String>,
}

impl Rig {
    pub fn new(kind: Kind) -> Self {
        let address = match kind {
            Kind::Postgres => Some(cluster::shared(|cluster| cluster.address(&cluster.database()))),
            Kind::Sqlite => None,
        };
        Self { temp: tempfile::tempdir().unwrap(), address }
    }

    /// On a database elsewhere.
    pub fn at(address: &str) -> Self {
        Self { temp: tempfile::tempdir().unwrap(), address: Some(address.to_owned()) }
    }

    pub fn folder(&self) -> PathBuf {
        self.temp.path().join("r")
    }

    pub fn out(&self) -> PathBuf {
        self.temp.path().join("out")
    }

    pub fn init(&self, folder: &Path, name: &str, at: Timestamp) -> Result<Region, RegionError> {
        let names = RegionNames { id: "shenzhen".to_owned(), name: name.to_owned(), division: "440300".to_owned() };
        let options = InitOptions { database: self.database(), ..InitOptions::default() };
        Region::init_with(folder, &names, &KeyProtection::PlainForPilot, &options, at)
    }

    /// Name of the database on the shared server.
    pub fn database_name(&self) -> &str {
        self.address.as_ref().unwrap().trim_start_matches("postgres:///").split('?').next().unwrap()
    }

    pub fn database(&self) -> Option<Database> {
        let address = self.address.as_ref().map(|address| Address::parse(address, false).unwrap());
        address.map(|address| Database { address, password: None })
    }

    pub fn pilot(&self, at: Timestamp) -> Region {
        self.init(&self.folder(), "深圳", at).unwrap()
    }

    /// The authority as another process opens it.
    pub fn opened(&self) -> Region {
        Region::open(&self.folder(), None).unwrap()
    }

    /// A store without an authority.
    pub fn store(&self) -> Store {
        Store::create(self.temp.path(), self.database().as_ref()).unwrap()
    }

    pub fn store_again(&self) -> Result<Store, StoreError> {
        Store::open(self.temp.path(), None)
    }

    /// A pilot and a company's certificate in a file, for the program `sealauthority`.
    pub fn company(&self) -> PathBuf {
        let at = Timestamp::now();
        let mut region = self.pilot(at);
        let path = self.temp.path().join("company.cer");
        write_whole(&path, pem::encode(pem::CERTIFICATE, &certificate(&mut region, at)).as_bytes()).unwrap();
        path
    }

    /// The program, to make seals by the thousand.
    pub fn seals(&self, company: &Path, count: u64) -> Command {
        let mut command = sealauthority();
        command.arg("seals").arg(self.folder()).args(["--count", &count.to_string(), "--name", "某公司", "--certificate"]);
        command.arg(company);
        command
    }
}

pub fn sealauthority() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_sealagent")).with_file_name("sealauthority");
    assert!(program.is_file(), "{} is missing: cargo build --workspace --bins", program.display());
    let mut command = Command::new(program);
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// Records seals, so many at once, until the disk is full: that is named, and leaves nothing of the last batch. Gives how many there are.
pub fn fill(store: &Store, at_once: u32) -> u32 {
    let mut kept = 0;
    let error = loop {
        assert!(kept < 200_000, "the disk does not fill");
        match store.add_seals(&batch(kept, at_once), now()) {
            Ok(()) => kept += at_once,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    assert!(kept >= at_once);
    assert_eq!(store.seal_count().unwrap(), u64::from(kept), "no half of a batch");
    kept
}

/// With room again, it goes on.
pub fn goes_on(store: &Store, kept: u32, at_once: u32) {
    store.add_seals(&batch(kept, at_once), now()).unwrap();
    assert_eq!(store.seal_count().unwrap(), u64::from(kept + at_once));
}

fn batch(from: u32, count: u32) -> Vec<(String, Sm3Digest)> {
    (from..from + count).map(|n| (format!("{n:014}"), sm3(&n.to_be_bytes()))).collect()
}

/// Codes, each of which may be given out once.
#[derive(Default)]
pub struct Given(BTreeSet<u64>);

impl Given {
    /// Notes the codes from the first to the last.
    pub fn add(&mut self, (first, last): (u64, u64)) {
        (first..=last).for_each(|code| assert!(self.0.insert(code), "{code} was given twice"));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each of them is recorded.
    pub fn are_in(&self, store: &Store) {
        self.0.iter().for_each(|code| assert!(store.knows_seal(&code.to_string(), None).unwrap(), "{code} is lost"));
    }
}

/// The first and last code of a line that `seals` printed.
pub fn codes(line: &str) -> (u64, u64) {
    let (first, last) = line.split_once(' ').unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

pub fn seals(region: &mut Region, count: u64) -> Vec<String> {
    let draft = draft(certificate(region, now()), now());
    region.make_seals(&draft, Version::V4, count).unwrap().iter().map(|seal| seal.es_id().to_owned()).collect()
}
