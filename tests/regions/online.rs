//! Asking regions about what was seen, keeping what is signed alone, fetching what is due alone, and a lock that nobody holds while thinking.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sealagent::fetch::Fetcher;
use sealagent::pki::revocation::{self, Moment, Revocation};
use sealagent::pki::seal_status::SealState;
use sealagent::pki::trust_list::{Location, LocationUse};
use sealagent::pki::{Certificate, Enclosed, TrustStore, ocsp};
use sealagent::regions::{RegionError, Regions, Taken};
use sealagent::sm::sm3;
use sealagent::verify::looked_up::{Lookups, SealLookup};
use sealagent::verify::report::{Asked, Outcome, Question};
use sealauthority::{CertificateStatus, Identity, SerialNumber, SingleResponse, issue_ocsp_response};

use super::accepted::{Served, accept, now, open, served, take};
use super::world::{Region, at, entry};
use crate::question::question;

const PATIENCE: Duration = Duration::from_secs(10);

/// The store that the folder gives.
fn store(regions: &Regions) -> TrustStore {
    let mut store = TrustStore::empty();
    assert!(regions.fill(&mut store).is_empty());
    store.link();
    store
}

fn revocation(regions: &Regions, certificate: &Certificate, issuer: &Certificate, now: Timestamp) -> Revocation {
    let moment = Moment { used: now, proven: false, now };
    revocation::check(&store(regions), &mut Enclosed::default(), certificate, issuer, moment)
}

fn about(certificate: &Arc<Certificate>, issuer: &Arc<Certificate>) -> Lookups {
    Lookups { certificates: vec![(Arc::clone(certificate), Arc::clone(issuer))], seals: Vec::new() }
}

/// The served region, accepted; a certificate of its CA; the CA.
fn known(served: &Served, regions: &Regions) -> (Arc<Certificate>, Arc<Certificate>) {
    served.accept(regions);
    let (authority, certificate) = served.issue();
    let ca = Certificate::parse(authority.ca().der()).unwrap();
    (Arc::new(Certificate::parse(&certificate).unwrap()), Arc::new(ca))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_that_was_seen_is_asked_about_and_the_answer_counts_and_stays() {
    let served = served(true).await;
    let temp = tempfile::tempdir().unwrap();
    let regions = open(temp.path());
    let (certificate, ca) = known(&served, &regions);
    assert!(matches!(revocation(&regions, &certificate, &ca, Timestamp::now()), Revocation::Unknown(_)));
    let fetcher = Fetcher::new();
    let asked = regions.ask(&fetcher, about(&certificate, &ca), PATIENCE, Timestamp::now(), None).await;
    let [Asked { question: Question::Certificate, outcome: Outcome::Answered, region, host, .. }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((region.as_str(), host.as_deref()), ("shenzhen", Some("127.0.0.1")));
    assert_eq!(revocation(&regions, &certificate, &ca, Timestamp::now()), Revocation::Good);

    let mut authority = sealauthority::Region::open(&served.folder, None).unwrap();
    authority.revoke(&SerialNumber::new(certificate.serial()).unwrap(), None, Timestamp::now()).unwrap();
    // The second answer takes the place of the first, and is of a later second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let asked = regions.ask(&fetcher, about(&certificate, &ca), PATIENCE, Timestamp::now(), None).await;
    assert_eq!(asked[0].outcome, Outcome::Answered, "{asked:?}");
    assert!(matches!(revocation(&regions, &certificate, &ca, Timestamp::now()), Revocation::Revoked(_)));
    assert_eq!(std::fs::read_dir(temp.path().join("regions/shenzhen/ocsp")).unwrap().count(), 1);

    // The service goes: it is said so, once it was tried, and what is here stays in use.
    served.task.abort();
    let _ = served.task.await;
    let seal = SealLookup { region: "shenzhen".into(), es_id: "44030000000001".into(), sm3: sm3(b"seal") };
    let lookups = Lookups { seals: vec![seal], ..about(&certificate, &ca) };
    let asked = regions.ask(&fetcher, lookups, PATIENCE, Timestamp::now(), None).await;
    let outcomes: Vec<_> = asked.iter().map(|one| (one.question, one.outcome)).collect();
    assert_eq!(outcomes, [(Question::Seal, Outcome::Unreachable), (Question::Certificate, Outcome::Unreachable)]);
    assert!(asked.iter().all(|one| one.detail.is_some()), "{asked:?}");
    assert!(matches!(revocation(&regions, &certificate, &ca, Timestamp::now()), Revocation::Revoked(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn private_responder_is_not_asked_unless_the_list_says_so() {
    let served = served(false).await;
    let temp = tempfile::tempdir().unwrap();
    let regions = open(temp.path());
    let (certificate, ca) = known(&served, &regions);
    let asked = regions.ask(&Fetcher::new(), about(&certificate, &ca), PATIENCE, Timestamp::now(), None).await;
    assert_eq!(asked[0].outcome, Outcome::Refused);
    assert!(asked[0].detail.as_ref().unwrap().contains("private address"), "{asked:?}");
}

/// A region whose list names an OCSP responder for its CA at this port.
fn with_responder(region: &Region, port: u16) -> sealagent::pki::TrustList {
    let mut list = region.trust_list(1);
    let url = format!("http://127.0.0.1:{port}/ocsp");
    let service = list.services.iter_mut().find(|s| *s.certificates[0] == *region.ca.certificate()).unwrap();
    service.locations.push(Location { kind: LocationUse::Ocsp, url, private: true });
    list
}

fn response(signer: &Identity, issuer: &Certificate, of: &Certificate, made: Timestamp, nonce: Option<&[u8]>) -> Vec<u8> {
    let single = SingleResponse {
        serial: SerialNumber::new(of.serial()).unwrap(),
        status: CertificateStatus::Good,
        this_update: made,
        next_update: Some(made + SignedDuration::from_hours(1)),
    };
    issue_ocsp_response(signer, issuer, &[single], made, nonce)
}

/// Answers one connection after another with what `answer` makes of the question; tells how many there were.
fn responder(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> (u16, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (_, asked) = question(&mut stream).unwrap();
            let body = answer(&asked);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
            if tell.send(()).is_err() {
                return;
            }
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_to_another_question_by_another_signer_or_of_another_time_is_not_kept() {
    let region = Region::new("shenzhen");
    let company = region.company("91440300MA5DEM0019", "深圳市某某科技有限公司", "44030000000001");
    let other = region.company("91110108756730417W", "另一公司", "44030000000002");
    let certificate = Arc::new(company.identity.certificate().clone());
    let other = other.identity.certificate().clone();
    let ca = Arc::new(region.ca.certificate().clone());
    /// Of CA, maker, the certificate asked about, another one, and the nonce.
    type Make = Box<dyn Fn(&[Identity; 2], &Certificate, &Certificate, &[u8]) -> Vec<u8> + Send>;
    let day = SignedDuration::from_hours(24);
    let of = |n: usize| {
        move |by: &[Identity; 2], of: &Certificate, at: Timestamp, nonce: Option<&[u8]>| {
            response(&by[n], by[0].certificate(), of, at, nonce)
        }
    };
    let (ca_says, maker_says) = (of(0), of(1));
    let (good, bad) = (Outcome::Answered, Outcome::Refused);
    let cases: Vec<(&str, Outcome, Make)> = vec![
        ("good", good, Box::new(move |by, asked, _, nonce| ca_says(by, asked, now(), Some(nonce)))),
        ("made beforehand", good, Box::new(move |by, asked, _, _| ca_says(by, asked, now(), None))),
        ("another nonce", bad, Box::new(move |by, asked, _, _| ca_says(by, asked, now(), Some(&[7; 16])))),
        ("another certificate", bad, Box::new(move |by, _, other, nonce| ca_says(by, other, now(), Some(nonce)))),
        ("another signer", bad, Box::new(move |by, asked, _, nonce| maker_says(by, asked, now(), Some(nonce)))),
        ("old", bad, Box::new(move |by, asked, _, nonce| ca_says(by, asked, now() - day, Some(nonce)))),
        ("of tomorrow", bad, Box::new(move |by, asked, _, nonce| ca_says(by, asked, now() + day, Some(nonce)))),
        ("no response", bad, Box::new(|_, _, _, _| b"<html>".to_vec())),
    ];
    for (what, expected, make) in cases {
        let keys = ([region.ca.clone(), region.maker.clone()], certificate.clone(), other.clone());
        let (port, asked_once) = responder(move |question| {
            // The nonce is the end of the question.
            let nonce = &question[question.len() - 16..];
            make(&keys.0, &keys.1, &keys.2, nonce)
        });
        let temp = tempfile::tempdir().unwrap();
        let regions = open(temp.path());
        accept(&regions, &region, &with_responder(&region, port));
        let asked = regions.ask(&Fetcher::new(), about(&certificate, &ca), PATIENCE, now(), None).await;
        assert_eq!(asked.iter().map(|one| one.outcome).collect::<Vec<_>>(), [expected], "{what}: {asked:?}");
        asked_once.recv_timeout(Duration::from_secs(5)).unwrap();
        let kept = std::fs::read_dir(temp.path().join("regions/shenzhen/ocsp")).map_or(0, Iterator::count);
        assert_eq!(kept, usize::from(expected == Outcome::Answered), "{what}");
        let state = revocation(&regions, &certificate, &ca, now());
        assert_eq!(state == Revocation::Good, expected == Outcome::Answered, "{what}: {state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_of_an_issuer_that_no_list_names_is_asked_about_nowhere() {
    let (region, stranger) = (Region::new("shenzhen"), Region::new("beijing"));
    let (port, asked_once) = responder(|_| Vec::new());
    let temp = tempfile::tempdir().unwrap();
    let regions = open(temp.path());
    accept(&regions, &region, &with_responder(&region, port));
    let company = stranger.company("91110108756730417W", "北京某某公司", "11010000000001");
    let certificate = Arc::new(company.identity.certificate().clone());
    let ca = Arc::new(stranger.ca.certificate().clone());
    // Nor is a seal of a region that is not accepted.
    let seal = SealLookup { region: "beijing".into(), es_id: "11010000000001".into(), sm3: sm3(b"seal") };
    let lookups = Lookups { seals: vec![seal], ..about(&certificate, &ca) };
    assert!(regions.ask(&Fetcher::new(), lookups, PATIENCE, now(), None).await.is_empty());
    assert!(asked_once.recv_timeout(Duration::from_millis(50)).is_err());
    // A seal of this region, whose list names a service and no place for questions: that is said.
    let seal = SealLookup { region: "shenzhen".into(), es_id: "44030000000001".into(), sm3: sm3(b"seal") };
    let lookups = Lookups { seals: vec![seal], certificates: Vec::new() };
    let asked = regions.ask(&Fetcher::new(), lookups, PATIENCE, now(), None).await;
    assert!(matches!(&asked[..], [Asked { outcome: Outcome::NoPlace, host: None, .. }]), "{asked:?}");
}

#[test]
fn answer_that_somebody_brought_is_kept_for_the_region_whose_ca_it_is_signed_for_or_not_at_all() {
    let temp = tempfile::tempdir().unwrap();
    let regions = open(temp.path());
    let (first, second, stranger) = (Region::new("beijing"), Region::new("shenzhen"), Region::new("guangzhou"));
    accept(&regions, &first, &first.trust_list(1));
    accept(&regions, &second, &second.trust_list(1));
    let company = second.company("91440300MA5DEM0019", "深圳市某某科技有限公司", "44030000000001");
    let certificate = company.identity.certificate();
    let good = response(&second.ca, second.ca.certificate(), certificate, now(), None);
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 1;
    let forged = response(&stranger.ca, second.ca.certificate(), certificate, now(), None);
    let strange = response(&stranger.ca, stranger.ca.certificate(), certificate, now(), None);
    for bytes in [&broken, &forged, &strange] {
        assert!(matches!(take(&regions, bytes), Err(RegionError::Unclaimed)));
    }
    assert_eq!(take(&regions, &good).unwrap(), Taken::Revocation("shenzhen".into()));
    assert_eq!(take(&regions, &good).unwrap(), Taken::Unchanged("shenzhen".into()));
    let older = response(&second.ca, second.ca.certificate(), certificate, now() - SignedDuration::from_mins(1), None);
    assert!(matches!(take(&regions, &older), Err(RegionError::Older)));
    assert!(!temp.path().join("regions/beijing/ocsp").exists());
    assert_eq!(revocation(&regions, certificate, second.ca.certificate(), now()), Revocation::Good);
}

#[test]
fn question_is_der_with_the_certificate_and_the_nonce() {
    let region = Region::new("shenzhen");
    let company = region.company("91440300MA5DEM0019", "深圳市某某科技有限公司", "44030000000001");
    let question = ocsp::request(company.identity.certificate(), region.ca.certificate(), &[9; 16]);
    let has = |bytes: &[u8]| question.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(&sm3(region.ca.certificate().subject().raw()).0) && has(company.identity.certificate().serial()));
    assert!(question.ends_with(&[9; 16]) && sealagent::asn1::Tlv::read_all(&question).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_lists_are_fetched_when_they_are_due_and_what_is_here_is_not_written_again() {
    let served = served(true).await;
    let temp = tempfile::tempdir().unwrap();
    let regions = open(temp.path());
    served.accept(&regions);
    let now = Timestamp::now();
    let fetcher = Fetcher::new();
    let lists = |results: &[sealagent::regions::refresh::Refreshed]| {
        let crls = results.iter().filter(|one| one.location.kind == LocationUse::Crl);
        crls.map(|one| format!("{:?}", one.result)).collect::<Vec<_>>()
    };
    let fetched = "Ok(Revocation(\"shenzhen\"))".to_owned();
    let first = regions.refresh(&fetcher, None, false, now).await;
    assert_eq!(lists(&first), [fetched.clone(), fetched], "root's and CA's");
    let files = || {
        let folder = std::fs::read_dir(temp.path().join("regions/shenzhen/crls")).unwrap().flatten();
        folder.map(|entry| entry.metadata().unwrap().modified().unwrap()).collect::<Vec<_>>()
    };
    let written = files();
    let day = |n: i64| now + SignedDuration::from_hours(24 * n);
    assert!(lists(&regions.refresh(&fetcher, None, false, now + SignedDuration::from_mins(10)).await).is_empty());
    assert!(lists(&regions.refresh(&fetcher, None, false, day(14)).await).is_empty(), "they count for thirty days");
    let unchanged = "Ok(Unchanged(\"shenzhen\"))".to_owned();
    let again = lists(&regions.refresh(&fetcher, None, false, day(16)).await);
    assert_eq!(again, [unchanged.clone(), unchanged.clone()]);
    // The CA has nothing newer: half of what is left passes before it is asked again.
    assert!(lists(&regions.refresh(&fetcher, None, false, day(22)).await).is_empty());
    assert_eq!(lists(&regions.refresh(&fetcher, None, false, day(24)).await).len(), 2);
    assert_eq!(files(), written, "what is here is not written again");
    // Everything once more, by hand: status made anew may differ, lists do not.
    let all = lists(&regions.refresh(&fetcher, None, true, now).await);
    assert_eq!(all, [unchanged.clone(), unchanged]);
    assert_eq!(files(), written);
}

#[test]
fn whoever_brings_what_is_here_changes_no_mark() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region) = (open(temp.path()), Region::new("shenzhen"));
    accept(&regions, &region, &region.trust_list(1));
    let status = region.signed_status(9, None, &[]);
    take(&regions, &status).unwrap();
    let mark = regions.mark();
    assert_eq!(take(&regions, &status).unwrap(), Taken::Unchanged("shenzhen".into()));
    assert_eq!(regions.mark(), mark);
    take(&regions, &region.signed_status(10, None, &[entry("A", &[(SealState::Suspended, "2026-03-01T00:00:00Z")])])).unwrap();
    assert_ne!(regions.mark(), mark);
}

#[test]
fn person_who_thinks_holds_nobody_up_and_decides_about_what_is_there_then() {
    let temp = tempfile::tempdir().unwrap();
    let (regions, region, other) = (open(temp.path()), Region::new("shenzhen"), Region::new("beijing"));
    accept(&regions, &other, &other.trust_list(1));
    let list = region.signed_list(&region.trust_list(3));
    // Meanwhile another program takes a file in, and is not kept waiting.
    let status = other.signed_status(9, None, &[]);
    let mut meanwhile = |_: &_| {
        let (regions, status) = (regions.clone(), status.clone());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(take(&regions, &status).unwrap()).unwrap());
        told.recv_timeout(Duration::from_secs(10)).unwrap() == Taken::Status("beijing".into(), 9)
    };
    assert_eq!(regions.take(&list, now(), &mut meanwhile).unwrap(), Taken::Accepted("shenzhen".into()));

    // Meanwhile somebody else accepts, and removes again: the answer was about another state, so the question is put anew.
    regions.remove("shenzhen", true, now()).unwrap();
    let mut asked = Vec::new();
    let mut changing = |introduction: &sealagent::regions::Introduction| {
        asked.push(introduction.removed_before);
        if asked.len() == 1 {
            accept(&regions, &region, &region.trust_list(3));
            regions.remove("shenzhen", false, at("2026-11-24T05:00:00Z")).unwrap();
        }
        true
    };
    assert_eq!(regions.take(&list, now(), &mut changing).unwrap(), Taken::Accepted("shenzhen".into()));
    assert_eq!(asked, [false, true]);
}
