//! The folder of accepted regions: asking, replacing, refusing, removing; fetching from a real authority.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use sealagent::fetch::Fetcher;
use sealagent::pki::TrustStore;
use sealagent::pki::licence::{Licence, LicenceState};
use sealagent::pki::seal_status::SealState;
use sealagent::pki::trust_list::{ListRefusal, LocationUse, TrustList};
use sealagent::regions::refresh::RefreshError;
use sealagent::regions::{Introduction, Presets, RegionError, Regions, Taken};
use sealagent::ses::{CertList, Picture, SealDraft, Version};
use sealagent::sm::sm3;
use sealauthority::serve::{Service, serve};
use sealauthority::{CertificateProfile, KeyProtection, Name, PrivateKey, Publication, RegionNames};

use super::world::{NOW, Region, at, entry};

pub fn now() -> Timestamp {
    at(NOW)
}

pub fn open(folder: &Path) -> Regions {
    Regions::new(folder, Presets::none())
}

fn never(_: &Introduction) -> bool {
    panic!("nobody is to be asked")
}

pub fn take(regions: &Regions, bytes: &[u8]) -> Result<Taken, RegionError> {
    regions.take(bytes, now(), &mut never)
}

pub fn accept(regions: &Regions, region: &Region, list: &TrustList) {
    let taken = regions.take(&region.signed_list(list), now(), &mut |_| true).unwrap();
    assert_eq!(taken, Taken::Accepted(region.id.into()));
}

fn sequence(regions: &Regions) -> Vec<(u64, bool)> {
    let (all, problems) = regions.all();
    assert!(problems.is_empty(), "{problems:?}");
    all.iter().map(|region| (region.list.list().sequence, region.accepted)).collect()
}

#[test]
fn person_is_asked_about_a_region_once_and_shown_its_fingerprint() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region) = (open(temp.path()), Region::new("shenzhen"));
    let bytes = region.signed_list(&region.trust_list(3));
    assert!(matches!(regions.take(&bytes, now(), &mut |_| false), Err(RegionError::Declined)));
    assert!(sequence(&regions).is_empty());
    let mut shown = None;
    let mut ask = |introduction: &Introduction| {
        shown = Some((introduction.list.signer().sha256_hex(), introduction.removed_before));
        true
    };
    assert_eq!(regions.take(&bytes, now(), &mut ask).unwrap(), Taken::Accepted("shenzhen".into()));
    assert_eq!(shown, Some((region.list.certificate().sha256_hex(), false)));
    assert_eq!(take(&regions, &bytes).unwrap(), Taken::Unchanged("shenzhen".into()));
    let newer = region.signed_list(&region.trust_list(4));
    assert_eq!(take(&regions, &newer).unwrap(), Taken::Updated("shenzhen".into(), 4));
    assert_eq!(sequence(&regions), [(4, true)]);
}

#[test]
fn refused_list_leaves_the_last_good_one_in_its_place() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region, other) = (open(temp.path()), Region::new("shenzhen"), Region::new("beijing"));
    accept(&regions, &region, &region.trust_list(5));
    let mut forged = region.trust_list(6);
    forged.name = "别人的列表".into();
    let mut same = region.trust_list(5);
    same.name = "另一份".into();
    let cases = [
        (region.signed_list(&region.trust_list(4)), ListRefusal::Rollback { accepted: 5, found: 4 }),
        (region.signed_list(&same), ListRefusal::Disagrees(5)),
        (
            sealauthority::issue_trust_list(&other.list, &forged).unwrap(),
            ListRefusal::WrongSigner(other.list.certificate().sha256_hex()),
        ),
    ];
    for (bytes, expected) in cases {
        match take(&regions, &bytes) {
            Err(RegionError::Refused(refusal)) => assert_eq!(refusal, expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(sequence(&regions), [(5, true)]);
    }
}

#[test]
fn removed_region_vouches_for_nothing_and_its_old_lists_stay_out() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region) = (open(temp.path()), Region::new("shenzhen"));
    accept(&regions, &region, &region.trust_list(5));
    regions.remove("shenzhen", false, now()).unwrap();
    assert_eq!(sequence(&regions), [(5, false)]);
    let mut store = TrustStore::empty();
    assert!(regions.fill(&mut store).is_empty());
    assert!(!store.region("shenzhen").unwrap().accepted);
    assert!(store.services().iter().all(|service| !service.is_granted(now())));
    assert!(matches!(regions.remove("shenzhen", false, now()), Err(RegionError::Unknown(_))));

    let old = region.signed_list(&region.trust_list(4));
    assert!(matches!(take(&regions, &old), Err(RegionError::Refused(ListRefusal::Rollback { .. }))));
    let mut asked = false;
    let mut ask = |introduction: &Introduction| {
        asked = introduction.removed_before;
        true
    };
    regions.take(&region.signed_list(&region.trust_list(5)), now(), &mut ask).unwrap();
    assert!(asked, "the person decides anew");
    regions.remove("shenzhen", true, now()).unwrap();
    assert!(sequence(&regions).is_empty());
    accept(&regions, &region, &region.trust_list(1));
    assert!(matches!(regions.remove("../shenzhen", true, now()), Err(RegionError::Unknown(_))));
}

#[test]
fn policy_accepts_its_regions_under_its_keys_and_can_forbid_others() {
    let temp = tempfile::tempdir().unwrap();
    let (region, impostor, other) = (Region::new("shenzhen"), Region::new("shenzhen"), Region::new("beijing"));
    let presets =
        Presets { regions: vec![("shenzhen".into(), *region.list.certificate().sha256())], others: false, lists: Vec::new() };
    let regions = Regions::new(temp.path(), presets);
    let list = |of: &Region| of.signed_list(&of.trust_list(1));
    assert!(matches!(take(&regions, &list(&impostor)), Err(RegionError::Policy(_))));
    assert!(matches!(take(&regions, &list(&other)), Err(RegionError::Policy(_))));
    assert_eq!(take(&regions, &list(&region)).unwrap(), Taken::Accepted("shenzhen".into()));
}

#[test]
fn policy_that_comes_later_ends_what_a_person_accepted() {
    let temp = tempfile::tempdir().unwrap();
    let region = Region::new("shenzhen");
    accept(&open(temp.path()), &region, &region.trust_list(1));
    let vouched = |presets| {
        let mut store = TrustStore::empty();
        Regions::new(temp.path(), presets).fill(&mut store);
        store.services().iter().any(|service| service.is_granted(now()))
    };
    let ruled = Presets { others: false, ..Presets::none() };
    assert!(vouched(Presets::none()));
    assert!(!vouched(ruled.clone()));
    // Nor is anything taken in its name, and what asks regions asks it no more.
    let regions = Regions::new(temp.path(), ruled);
    assert_eq!(sequence(&regions), [(1, false)]);
    assert!(matches!(take(&regions, &region.signed_status(9, None, &[])), Err(RegionError::Unclaimed)));
    take(&open(temp.path()), &region.signed_status(9, None, &[])).unwrap();
}

#[test]
fn list_of_lists_names_the_key_of_a_region_and_warns_of_another() {
    use sealagent::pki::trust_list::{Location, Pointer};
    let temp = tempfile::tempdir().unwrap();
    let (regions, region, other, impostor) =
        (open(temp.path()), Region::new("shenzhen"), Region::new("beijing"), Region::new("beijing"));
    let mut list = region.trust_list(1);
    list.regions.push(Pointer {
        region: "beijing".into(),
        name: "北京".into(),
        location: Location { kind: LocationUse::TrustList, url: "http://lists.example/bj.p7b".into(), private: false },
        signers: vec![*other.list.certificate().sha256()],
    });
    accept(&regions, &region, &list);
    for (of, same) in [(&impostor, false), (&other, true)] {
        let mut named = Vec::new();
        let mut ask = |introduction: &Introduction| {
            named.clone_from(&introduction.named_by);
            false
        };
        let _ = regions.take(&of.signed_list(&of.trust_list(1)), now(), &mut ask);
        assert_eq!(named, [("shenzhen".to_owned(), same)]);
    }
}

#[test]
fn seal_status_never_goes_back_and_reaches_the_store() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region, other) = (open(temp.path()), Region::new("shenzhen"), Region::new("beijing"));
    let cancelled = [entry("44030000000001", &[(SealState::Cancelled, "2026-03-01T00:00:00Z")])];
    assert!(matches!(take(&regions, &region.signed_status(9, None, &cancelled)), Err(RegionError::Unclaimed)));
    accept(&regions, &region, &region.trust_list(1));
    assert!(matches!(take(&regions, &other.signed_status(9, None, &[])), Err(RegionError::Unclaimed)));
    assert_eq!(take(&regions, &region.signed_status(9, None, &[])).unwrap(), Taken::Status("shenzhen".into(), 9));
    assert!(matches!(take(&regions, &region.signed_status(8, None, &[])), Err(RegionError::OldStatus { have: 9, found: 8 })));
    take(&regions, &region.signed_status(11, Some(9), &cancelled)).unwrap();
    assert!(matches!(take(&regions, &region.signed_status(10, Some(9), &[])), Err(RegionError::OldStatus { .. })));
    let mut store = TrustStore::empty();
    regions.fill(&mut store);
    let status = store.seal_status(Some("shenzhen"), "44030000000001", || sm3(b"seal")).unwrap();
    assert_eq!(status.history.last().unwrap().state, SealState::Cancelled);
    assert!(store.seal_status(Some("beijing"), "44030000000001", || sm3(b"seal")).is_none(), "it speaks of its own region");
    // A new full list, for which these are not the changes: the changes wait aside.
    take(&regions, &region.signed_status(20, None, &[])).unwrap();
    let mut store = TrustStore::empty();
    regions.fill(&mut store);
    assert!(store.seal_status(Some("shenzhen"), "44030000000001", || sm3(b"seal")).unwrap().history.last().is_none());
}

#[test]
fn older_revocation_list_or_statement_never_replaces_a_newer_one() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region) = (open(temp.path()), Region::new("shenzhen"));
    accept(&regions, &region, &region.trust_list(1));
    let crl = |made| Region::crl(&region.root, made, Vec::new());
    take(&regions, &crl("2026-11-20T00:00:00Z")).unwrap();
    assert!(matches!(take(&regions, &crl("2026-11-19T00:00:00Z")), Err(RegionError::Older)));
    take(&regions, &crl("2026-11-21T00:00:00Z")).unwrap();

    let company = region.company("91440300MA5DEM0019", "深圳市某某科技有限公司", "44030000000001");
    let new = region.licence(&company, LicenceState::Revoked);
    let old = Licence { as_of: new.as_of - SignedDuration::from_hours(24), ..region.licence(&company, LicenceState::Active) };
    take(&regions, &region.signed_licence(&new)).unwrap();
    assert!(matches!(take(&regions, &region.signed_licence(&old)), Err(RegionError::Older)));
}

#[test]
fn damaged_file_is_told_and_the_other_regions_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region, other) = (open(temp.path()), Region::new("shenzhen"), Region::new("beijing"));
    accept(&regions, &region, &region.trust_list(1));
    accept(&regions, &other, &other.trust_list(1));
    // Another good list of the same number, put there by hand.
    let mut swapped = region.trust_list(1);
    swapped.name = "换掉".into();
    std::fs::write(temp.path().join("regions/shenzhen/list-1.p7b"), region.signed_list(&swapped)).unwrap();
    let (all, problems) = regions.all();
    assert_eq!(all.len(), 1);
    assert!(matches!(problems.as_slice(), [RegionError::Malformed { .. }]), "{problems:?}");
}

/// A real authority behind a real socket.
pub struct Served {
    _temp: tempfile::TempDir,
    pub folder: std::path::PathBuf,
    published: std::path::PathBuf,
    publication: Publication,
    pub task: tokio::task::JoinHandle<()>,
}

pub async fn served(private: bool) -> Served {
    let temp = tempfile::tempdir().unwrap();
    let (folder, published) = (temp.path().join("authority"), temp.path().join("published"));
    let names = RegionNames { id: "shenzhen".into(), name: "深圳".into(), division: "440300".into() };
    let region = sealauthority::Region::init(&folder, &names, &KeyProtection::PlainForPilot, Timestamp::now()).unwrap();
    std::fs::create_dir(&published).unwrap();
    let service = Service { published: published.clone(), fresh_for: SignedDuration::from_hours(1) };
    let (tell, told) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let bound = move |address| tell.send(address).unwrap();
        serve(region, service, "127.0.0.1:0".parse().unwrap(), bound).await.unwrap();
    });
    // The list names the port, which is known now.
    let publication =
        Publication { base_url: Some(format!("http://{}", told.await.unwrap())), private, ..Publication::default() };
    let mut region = sealauthority::Region::open(&folder, None).unwrap();
    region.publish(&published, &publication, Timestamp::now()).unwrap();
    Served { _temp: temp, folder, published, publication, task }
}

impl Served {
    /// Accepts it.
    pub fn accept(&self, regions: &Regions) {
        let list = std::fs::read(self.published.join("trust-list.p7b")).unwrap();
        regions.take(&list, Timestamp::now(), &mut |_| true).unwrap();
    }

    /// The authority, opened once more, and a certificate that it has just issued to a company.
    pub fn issue(&self) -> (sealauthority::Region, Vec<u8>) {
        let mut authority = sealauthority::Region::open(&self.folder, None).unwrap();
        let key = PrivateKey::generate().unwrap().public_key();
        let name = Name::china().common_name("某公司");
        let certificate = authority.issue(CertificateProfile::CompanySigning, &name, &key, Timestamp::now(), 300).unwrap();
        (authority, certificate)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_status_are_fetched_from_the_places_that_the_list_names() {
    let served = served(true).await;
    let temp = tempfile::tempdir().unwrap();
    let regions = open(temp.path());
    served.accept(&regions);
    let (mut authority, certificate) = served.issue();
    let seal = authority
        .make_seal(
            &SealDraft {
                es_id: "44030000000001".into(),
                vid: "sealagent".into(),
                kind: 1,
                name: "某公司".into(),
                cert_list: CertList::Certificates(vec![certificate]),
                created: Timestamp::now(),
                valid_from: Timestamp::now(),
                valid_to: Timestamp::now() + SignedDuration::from_hours(48),
                picture: Picture::new("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), 40, 40),
                extensions: Vec::new(),
            },
            Version::V4,
        )
        .unwrap();
    authority.change_seal("44030000000001", SealState::Suspended, Timestamp::now()).unwrap();
    authority.publish(&served.published, &served.publication, Timestamp::now()).unwrap();

    let fetcher = Fetcher::new();
    let results = regions.refresh(&fetcher, None, true, Timestamp::now()).await;
    let failed: Vec<_> = results.iter().filter(|one| one.result.is_err()).collect();
    assert!(failed.is_empty() && results.len() >= 5, "{results:?}");
    let state = |es_id: &str| {
        let mut store = TrustStore::empty();
        assert!(regions.fill(&mut store).is_empty());
        store.seal_status(Some("shenzhen"), es_id, || sm3(seal.raw())).unwrap()
    };
    assert_eq!(state("44030000000001").history.last().unwrap().state, SealState::Suspended);

    // Asked directly, the answer is newer than the files.
    authority.change_seal("44030000000001", SealState::Cancelled, Timestamp::now()).unwrap();
    let asked = regions.ask_status(&fetcher, "shenzhen", "44030000000001", sm3(seal.raw()), Timestamp::now()).await;
    assert!(matches!(asked, Ok(Taken::Answer(..))), "{asked:?}");
    assert_eq!(state("44030000000001").history.last().unwrap().state, SealState::Cancelled);
    regions.ask_status(&fetcher, "shenzhen", "99999999999999", sm3(b"no seal"), Timestamp::now()).await.unwrap();
    let mut store = TrustStore::empty();
    regions.fill(&mut store);
    assert!(!store.seal_status(Some("shenzhen"), "99999999999999", || sm3(b"no seal")).unwrap().known);

    // The server goes: it is said so, and what is here stays in use.
    served.task.abort();
    let _ = served.task.await;
    let results = regions.refresh(&fetcher, None, true, Timestamp::now()).await;
    assert!(!results.is_empty());
    for one in &results {
        assert!(matches!(&one.result, Err(RefreshError::Fetch(error)) if error.is_outage()), "{one:?}");
    }
    assert_eq!(state("44030000000001").history.last().unwrap().state, SealState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_place_is_asked_only_if_the_list_says_so() {
    let served = served(false).await;
    let temp = tempfile::tempdir().unwrap();
    let regions = open(temp.path());
    served.accept(&regions);
    for one in regions.refresh(&Fetcher::new(), None, true, Timestamp::now()).await {
        assert!(matches!(one.result, Err(RefreshError::Fetch(sealagent::fetch::FetchError::Private { .. }))), "{:?}", one.result);
    }
}
