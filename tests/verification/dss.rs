//! `/DSS` of a PDF: what an upgraded file brings is as good as what its issuers signed, whoever put it there.

use std::io::{Cursor, Write as _};

use sealagent::pdf::Document;
use sealagent::pki::TrustStore;
use sealagent::pki::trust::{TrustFile, TrustRole};
use sealagent::verify::Context;
use sealagent::verify::report::{Code, Indication, Level, Report};

use crate::findings::{base, revoked, seen};
use crate::forge::recipe::{Recipe, Value, World, stamp};
use crate::forge::{Identity, Key, ListSpec, Spec, at, crl, issue, ocsp, time_stamp};
use crate::known::Verifier;
use crate::pdf::Pdf;

/// Long after the list of the company's CA ran out; that of the root, who answers for the time stamp authority, still counts.
const LATER: &str = "2028-02-01T00:00:00Z";
/// When that has run out, too.
const MUCH_LATER: &str = "2029-06-01T00:00:00Z";

/// Made after the signature was stamped.
fn ca_list() -> ListSpec {
    ListSpec { this_update: "2026-06-01T09:00:00Z", next_update: "2026-07-01T00:00:00Z", ..ListSpec::default() }
}

fn root_list() -> ListSpec {
    ListSpec { this_update: "2026-06-01T09:00:00Z", next_update: "2029-01-01T00:00:00Z", ..ListSpec::default() }
}

struct Bench {
    recipe: Recipe,
    world: World,
    /// Anchors and nothing else.
    anchors: TrustStore,
}

impl Bench {
    fn of(value: Value) -> Self {
        let recipe = Recipe::with(|r| {
            (r.value, r.stamp) = (value, stamp("2026-06-01T08:31:00Z"));
            r.maker.to = "2035-01-01T00:00:00Z";
        });
        let mut world = recipe.world();
        world.tsa = issue(Some(&world.root), Key::new(13), &recipe.tsa);
        let file = |role, identity: &Identity| TrustFile { role, name: "anchor".to_owned(), bytes: identity.der().to_vec() };
        let roles = [(TrustRole::Anchor, &world.root), (TrustRole::TimeStamp, &world.root), (TrustRole::Maker, &world.maker)];
        let (mut anchors, problems) = TrustStore::from_files(roles.map(|(role, identity)| file(role, identity)));
        assert!(problems.is_empty(), "{problems:?}");
        anchors.link();
        Self { recipe, world, anchors }
    }

    fn ses() -> Self {
        Self::of(Value::Ses)
    }

    fn signed(&self) -> Pdf {
        let mut pdf = Pdf::new();
        pdf.sign(10, "first", "10 0 R", "GM.sm2seal", |data| self.recipe.signed_value(&self.world, data, "Signature.xml"));
        pdf
    }

    /// What the writer of the file had at hand.
    fn data(&self) -> Dss {
        let World { root, ca, .. } = &self.world;
        Dss { certificates: vec![ca.der().to_vec()], crls: vec![crl(root, &root_list()), crl(ca, &ca_list())], ..Dss::default() }
    }

    /// The same as `sealagent upgrade` leaves it.
    fn upgraded(&self, dss: &Dss) -> Pdf {
        let mut pdf = self.signed();
        dss.append(&mut pdf, 100);
        self.stamp(&mut pdf, 20, "10 0 R 20 0 R", "2026-06-02T00:00:00Z");
        pdf
    }

    fn stamp(&self, pdf: &mut Pdf, number: usize, fields: &str, time: &str) {
        pdf.sign(number, &format!("stamp {number}"), fields, "ETSI.RFC3161", |data| time_stamp(&self.world.tsa, data, time));
    }

    fn judge(&self, pdf: &Pdf, now: &str) -> Report {
        Verifier::verify(Cursor::new(&pdf.bytes), &Context::new(&self.anchors, at(now)))
    }

    fn added(&self, pdf: &Pdf, now: &str) -> Vec<(Code, Level)> {
        seen(&self.judge(pdf, now)).difference(&base()).copied().collect()
    }

    /// Upgraded, then changed by a stranger.
    fn and_then(&self, stranger: &Dss) -> Report {
        let mut pdf = self.upgraded(&self.data());
        stranger.append(&mut pdf, 1_000);
        self.judge(&pdf, LATER)
    }
}

/// Validation data to be written.
#[derive(Clone, Default)]
struct Dss {
    certificates: Vec<Vec<u8>>,
    crls: Vec<Vec<u8>>,
    responses: Vec<Vec<u8>>,
    /// Through `/VRI` alone, as no standard has it, but some writer does.
    in_vri: bool,
    /// Objects that the first list names beside the certificates.
    more: Vec<(usize, Vec<u8>)>,
}

fn stream(dict: &str, data: &[u8]) -> Vec<u8> {
    [format!("<<{dict}/Length {}>>stream\n", data.len()).as_bytes(), data, b"\nendstream"].concat()
}

impl Dss {
    /// Appends a revision whose `/DSS` is this one; its objects are numbered from `first`.
    fn append(&self, pdf: &mut Pdf, first: usize) {
        let mut objects = self.more.clone();
        let mut lists = String::new();
        let mut next = first + 1;
        let keys = if self.in_vri { ["Cert", "CRL", "OCSP"] } else { ["Certs", "CRLs", "OCSPs"] };
        let mut more: String = self.more.iter().map(|(number, _)| format!("{number} 0 R ")).collect();
        for (key, values) in keys.into_iter().zip([&self.certificates, &self.crls, &self.responses]) {
            let mut list = std::mem::take(&mut more);
            for value in values {
                objects.push((next, stream("", value)));
                list.push_str(&format!("{next} 0 R "));
                next += 1;
            }
            lists.push_str(&format!("/{key}[{list}]"));
        }
        let dss = if self.in_vri { format!("<</VRI<</ABCDEF<<{lists}>>>>>>") } else { format!("<<{lists}>>") };
        objects.push((first, dss.into_bytes()));
        objects.push((1, format!("<</Type/Catalog/Pages 2 0 R/AcroForm 4 0 R/DSS {first} 0 R>>").into_bytes()));
        pdf.update(&objects);
    }
}

#[test]
fn an_upgraded_file_needs_anchors_and_a_current_list_of_the_last_time_stamps_authority() {
    for value in [Value::Ses, Value::Attributes] {
        let bench = Bench::of(value);
        let pdf = bench.upgraded(&bench.data());
        let report = bench.judge(&pdf, LATER);
        assert_eq!(report.indication, Indication::TotalPassed, "{value:?} {report:#?}");
        let mut bare = bench.signed();
        bench.stamp(&mut bare, 20, "10 0 R 20 0 R", "2026-06-02T00:00:00Z");
        assert_eq!(bench.judge(&bare, LATER).indication, Indication::Indeterminate, "{value:?}");
        let late = bench.judge(&pdf, MUCH_LATER);
        assert_eq!(late.indication, Indication::Indeterminate, "{value:?}");
        assert!(seen(&late).contains(&(Code::TimestampCert, Level::Indeterminate)), "{late:#?}");
        // Upgraded again in time, with the lists of that day.
        let World { root, .. } = &bench.world;
        let again = ListSpec { this_update: "2028-12-01T00:00:00Z", next_update: "2030-01-01T00:00:00Z", ..ListSpec::default() };
        let mut pdf = pdf.clone();
        Dss { crls: vec![crl(root, &again)], ..Dss::default() }.append(&mut pdf, 200);
        bench.stamp(&mut pdf, 30, "10 0 R 20 0 R 30 0 R", "2028-12-02T00:00:00Z");
        let report = bench.judge(&pdf, MUCH_LATER);
        assert_eq!(report.indication, Indication::TotalPassed, "{value:?} {report:#?}");
    }
}

#[test]
fn data_are_read_from_vri_and_as_responses_too() {
    let bench = Bench::ses();
    let vri = Dss { in_vri: true, ..bench.data() };
    assert_eq!(bench.judge(&bench.upgraded(&vri), LATER).indication, Indication::TotalPassed);
    // A response is fresh for a week after November 2026.
    let World { root, ca, maker, signer, .. } = &bench.world;
    let responses = vec![ocsp(ca, ca, signer, None), ocsp(ca, ca, maker, None)];
    let dss = Dss { certificates: vec![ca.der().to_vec()], crls: vec![crl(root, &root_list())], responses, ..Dss::default() };
    assert_eq!(bench.judge(&bench.upgraded(&dss), LATER).indication, Indication::TotalPassed);
}

#[test]
fn what_is_forged_changes_nothing() {
    let bench = Bench::ses();
    let World { root, signer, maker, .. } = &bench.world;
    let twin = issue(None, Key::new(99), &Spec::ca("CA", 2));
    let forged_good = Dss {
        certificates: vec![twin.der().to_vec()],
        crls: vec![crl(root, &root_list()), crl(&twin, &ca_list())],
        responses: vec![ocsp(&twin, &twin, signer, None), ocsp(&twin, &twin, maker, None)],
        ..Dss::default()
    };
    let report = bench.judge(&bench.upgraded(&forged_good), LATER);
    assert_eq!(report.indication, Indication::Indeterminate, "{report:#?}");
    let forged_bad = Dss {
        crls: vec![crl(&twin, &ListSpec { revoked: vec![(12, "2026-05-01T00:00:00Z", Some(1))], ..ca_list() })],
        responses: vec![ocsp(&twin, &twin, signer, Some("2026-05-01T00:00:00Z"))],
        ..Dss::default()
    };
    let mut all = bench.data();
    all.crls.splice(0..0, forged_bad.crls.clone());
    all.responses = forged_bad.responses.clone();
    assert_eq!(bench.judge(&bench.upgraded(&all), LATER).indication, Indication::TotalPassed);
    assert_eq!(bench.and_then(&forged_bad).indication, Indication::TotalPassed);
}

#[test]
fn what_cannot_be_read_hides_nothing_beside_it() {
    let bench = Bench::ses();
    let more = vec![
        (500, b"<</Length 9>>".to_vec()),
        (501, stream("/Filter/FlateDecode", b"no zlib")),
        (502, stream("/Filter/Unknown", b"?")),
        (503, stream("", b"no certificate")),
        (504, b"[500 0 R]".to_vec()),
        (505, b"505 0 R".to_vec()),
    ];
    let dss = Dss { more, ..bench.data() };
    let report = bench.judge(&bench.upgraded(&dss), LATER);
    assert_eq!(report.indication, Indication::TotalPassed, "{report:#?}");
}

#[test]
fn a_stranger_who_appends_a_dss_takes_nothing_away() {
    let bench = Bench::ses();
    assert_eq!(bench.and_then(&Dss::default()).indication, Indication::TotalPassed);
    // More values than are taken, and more than fit.
    let many = (0..1_500_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(bench.and_then(&Dss { crls: many, ..Dss::default() }).indication, Indication::TotalPassed);
    let large = vec![vec![0x30; 9 << 20], vec![0x31; 7 << 20]];
    assert_eq!(bench.and_then(&Dss { certificates: large, ..Dss::default() }).indication, Indication::TotalPassed);
    // CAs of the same name that claim the key of the true one: each costs a signature to be told from it.
    let spec = Spec::ca("CA", 2);
    let id = bench.world.ca.key.id();
    let twins = (100..200).map(|seed| {
        let twin = issue(None, Key::new(seed), &Spec { serial: seed, ..spec.clone() });
        let own = twin.key.id();
        // The identifier is not signed for by anybody who matters here.
        let mut der = twin.der().to_vec();
        while let Some(place) = der.windows(own.len()).position(|window| window == own) {
            der[place..place + id.len()].copy_from_slice(&id);
        }
        der
    });
    let report = bench.and_then(&Dss { certificates: twins.collect(), ..Dss::default() });
    assert_eq!(report.indication, Indication::TotalPassed, "{report:#?}");
}

#[test]
fn a_revocation_that_its_issuer_signed_counts_whoever_brings_it() {
    let bench = Bench::ses();
    let list = |date| Dss { crls: vec![crl(&bench.world.ca, &revoked(12, date).unwrap())], ..Dss::default() };
    let report = bench.and_then(&list("2026-05-01T00:00:00Z"));
    assert_eq!(report.indication, Indication::TotalFailed);
    assert!(seen(&report).contains(&(Code::SignerCertRevoked, Level::Error)), "{report:#?}");
    // After the stamp it is told, and changes nothing.
    let report = bench.and_then(&list("2026-09-01T00:00:00Z"));
    assert_eq!(report.indication, Indication::TotalPassed);
    assert!(seen(&report).contains(&(Code::SignerCertRevoked, Level::Info)), "{report:#?}");
    // Data of a stranger who is an issuer elsewhere do not speak about this signer.
    let mut unmatched = bench.signed();
    bench.stamp(&mut unmatched, 20, "10 0 R 20 0 R", "2026-06-02T00:00:00Z");
    let other = issue(Some(&bench.world.root), Key::new(77), &Spec::ca("Other", 9));
    let lists = vec![crl(&bench.world.root, &root_list()), crl(&other, &ca_list())];
    Dss { certificates: vec![other.der().to_vec(), bench.world.ca.der().to_vec()], crls: lists, ..Dss::default() }
        .append(&mut unmatched, 1_000);
    let report = bench.judge(&unmatched, LATER);
    assert_eq!(report.indication, Indication::Indeterminate);
    assert!(seen(&report).contains(&(Code::RevocationUnknown, Level::Indeterminate)), "{report:#?}");
}

#[test]
fn an_authority_revoked_after_a_later_stamp_is_told_and_one_revoked_before_it_is_not_believed() {
    let bench = Bench::ses();
    let revoked = |date| {
        let mut pdf = bench.upgraded(&bench.data());
        // The second stamp is of an authority that nobody revoked.
        let tsa = issue(Some(&bench.world.root), Key::new(14), &Spec { serial: 14, ..bench.recipe.tsa.clone() });
        pdf.sign(30, "again", "10 0 R 20 0 R 30 0 R", "ETSI.RFC3161", |data| time_stamp(&tsa, data, "2026-08-01T00:00:00Z"));
        let list = ListSpec { revoked: vec![(13, date, Some(1))], this_update: "2027-01-01T00:00:00Z", ..root_list() };
        Dss { crls: vec![crl(&bench.world.root, &list)], ..Dss::default() }.append(&mut pdf, 1_000);
        bench.added(&pdf, LATER)
    };
    let later = revoked("2026-09-01T00:00:00Z");
    assert_eq!(later, [(Code::SealExpired, Level::Info), (Code::TimestampCert, Level::Info)]);
    let between = revoked("2026-07-01T00:00:00Z");
    assert!(between.contains(&(Code::TimestampCert, Level::Indeterminate)), "{between:?}");
    let before = revoked("2026-05-01T00:00:00Z");
    assert!(before.contains(&(Code::TimestampCert, Level::Error)), "{before:?}");
}

/// Whole ones, and ones that break at their end: 300 of them inflate to 2.7 GB.
#[test]
fn a_giant_dss_costs_a_bounded_amount() {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0x30; 9 << 20]).unwrap();
    let large = encoder.finish().unwrap();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0x30; 7 << 20]).unwrap();
    let mut broken = encoder.finish().unwrap();
    *broken.last_mut().unwrap() ^= 1;
    let bench = Bench::ses();
    for bomb in [large, broken] {
        let more = (500..800).map(|number| (number, stream("/Filter/FlateDecode", &bomb))).collect();
        let mut pdf = bench.upgraded(&bench.data());
        Dss { more, certificates: vec![b"behind them".to_vec()], ..Dss::default() }.append(&mut pdf, 1_000);
        let values = Document::open(Cursor::new(&pdf.bytes)).unwrap().validation_values();
        assert_eq!(values.len(), 3, "what was there first is there, and nobody came to what stands behind the bombs");
        assert_eq!(bench.judge(&pdf, LATER).indication, Indication::TotalPassed);
    }
}
