//! Several signatures in one document, what they mean for one another, and documents without any.

use std::io::Cursor;

use sealagent::asn1::{self, Oid, oid};
use sealagent::cms::{Content, Identifiers, SignedDataDraft};
use sealagent::ofd::write::{NewDocument, NewPage};
use sealagent::pki::signature::ECDSA_WITH_SHA256;
use sealagent::sm::sm3;
use sealagent::stamp::SizeMm;
use sealagent::verify::report::{Code, Indication, Level, Report, SignatureKind};

use crate::findings::{base, seen};
use crate::forge::recipe::{DESCRIPTION, LIST, Recipe, VALUE, Value, World, remove_reference};
use crate::forge::{Files, file, replace, unzip, zip};
use crate::known::Verifier;

fn judge(recipe: &Recipe, package: &[u8]) -> Report {
    let world = recipe.world();
    let trust = recipe.trust_store(&world);
    Verifier::verify(Cursor::new(package), &recipe.context(&trust))
}

fn codes(report: &Report, signature: usize) -> Vec<(Code, Level)> {
    report.signatures[signature].findings.iter().map(|f| (f.code, f.level)).filter(|f| !base().contains(f)).collect()
}

/// Two signatures, the first of which does not protect the first page.
fn second_covers_first(change: impl FnOnce(&mut Recipe)) -> Recipe {
    Recipe::with(|r| {
        r.signatures = 2;
        r.before = |files| {
            let only_one = files.iter().all(|(name, _)| !name.contains("Sign_1"));
            if only_one {
                remove_reference(files, "/Doc_0/Pages/Page_0/Content.xml");
            }
        };
        change(r);
    })
}

#[test]
fn a_later_total_passed_signature_lends_its_protection() {
    let recipe = second_covers_first(|_| {});
    let report = judge(&recipe, &recipe.package(&recipe.world()));
    assert_eq!(report.indication, Indication::TotalPassed, "{report:#?}");
}

#[test]
fn a_later_signature_that_is_not_proven_lends_nothing() {
    let recipe = second_covers_first(|r| r.ca_list = None);
    let report = judge(&recipe, &recipe.package(&recipe.world()));
    let unknown = (Code::RevocationUnknown, Level::Indeterminate);
    assert_eq!(codes(&report, 0), [unknown, unknown, (Code::UncoveredContent, Level::Indeterminate)]);
    assert_eq!(codes(&report, 1), [unknown, unknown]);
    assert_eq!(report.signatures[0].uncovered, ["/Doc_0/Pages/Page_0/Content.xml"]);
}

#[test]
fn a_strangers_signature_cannot_hide_what_was_added() {
    // The second signature is made with certificates that nobody vouches for.
    let recipe = second_covers_first(|_| {});
    let world = recipe.world();
    let mut files = unzip(&recipe.package(&world));
    let stranger = Recipe::with(|r| r.self_issued = [true, true]);
    let description = DESCRIPTION.replace("Sign_0", "Sign_1");
    let data = file(&mut files, &description).clone();
    *file(&mut files, &VALUE.replace("Sign_0", "Sign_1")) = stranger.signed_value(&stranger.world(), &data, &description);
    let report = judge(&recipe, &zip(&files));
    assert!(codes(&report, 0).contains(&(Code::UncoveredContent, Level::Indeterminate)), "{report:#?}");
    assert_ne!(report.signatures[0].indication, Indication::TotalPassed);
}

#[test]
fn relative_signatures_are_as_good_as_their_base() {
    let relate = |files: &mut Files, from: &str, to: &str| {
        let path = format!(" BaseLoc=\"{}", if from == "s001" { "Sign_0" } else { "Sign_1" });
        let text = String::from_utf8(file(files, LIST).clone()).unwrap();
        let path = if text.contains(&path) { path } else { path.replace("BaseLoc=\"", "BaseLoc=\"/Doc_0/Signs/") };
        replace(files, LIST, &path, &format!(" Relative=\"{to}\"{path}"));
    };
    let run = |recipe: &Recipe, relations: &[(&str, &str)], spoil: bool| {
        let mut files = unzip(&recipe.package(&recipe.world()));
        for (from, to) in relations {
            relate(&mut files, from, to);
        }
        if spoil {
            file(&mut files, VALUE).truncate(20);
        }
        judge(recipe, &zip(&files))
    };
    let ids = |recipe: &Recipe| {
        let report = judge(recipe, &recipe.package(&recipe.world()));
        report.signatures.iter().map(|s| s.id.clone()).collect::<Vec<_>>()
    };
    let two = Recipe::with(|r| r.signatures = 2);
    let ids = ids(&two);
    let relative = |report: &Report, i: usize| codes(report, i).into_iter().find(|(code, _)| *code == Code::RelativeSignature);
    let good = run(&two, &[("s002", &ids[0])], false);
    assert_eq!(good.indication, Indication::TotalPassed, "{good:#?}");
    let failed = run(&two, &[("s002", &ids[0])], true);
    assert_eq!(relative(&failed, 1), Some((Code::RelativeSignature, Level::Error)));
    let circle = run(&two, &[("s001", &ids[1]), ("s002", &ids[0])], false);
    for i in [0, 1] {
        assert_eq!(relative(&circle, i), Some((Code::RelativeSignature, Level::Error)));
    }
    let undecided = Recipe::with(|r| {
        r.signatures = 2;
        r.ca_list = None;
    });
    let report = run(&undecided, &[("s002", &ids[0])], false);
    assert_eq!(relative(&report, 1), Some((Code::RelativeSignature, Level::Indeterminate)));
}

fn plain() -> Files {
    let page = NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: Vec::new() };
    let document = NewDocument { title: "x".into(), date: "2026-06-01".into(), pages: vec![page], images: Vec::new() };
    let mut package = Vec::new();
    document.write(&mut package).unwrap();
    unzip(&package)
}

#[test]
fn a_document_without_signature_proves_nothing_and_a_seal_in_it_neither() {
    let recipe = Recipe::good();
    let mut files = plain();
    let report = judge(&recipe, &zip(&files));
    assert_eq!(report.indication, Indication::Indeterminate);
    assert_eq!(seen(&report), [(Code::NoSignature, Level::Indeterminate)].into());
    let mut drawn = files.clone();
    replace(&mut drawn, "Doc_0/Document.xml", "</ofd:Pages>", "</ofd:Pages><ofd:Annotations>Annotations.xml</ofd:Annotations>");
    let xml = |name: &str, inside: &str| {
        let text = format!("<ofd:{name} xmlns:ofd=\"http://www.ofdspec.org/2016\">{inside}</ofd:{name}>");
        text.into_bytes()
    };
    let list = "<ofd:Page PageID=\"1\"><ofd:FileLoc>Annot_0.xml</ofd:FileLoc></ofd:Page>";
    drawn.push(("Doc_0/Annotations.xml".into(), xml("Annotations", list)));
    for (kind, is_told) in [("Stamp", true), ("Highlight", false)] {
        let annot = format!("<ofd:Annot ID=\"9\" Type=\"{kind}\"><ofd:Appearance Boundary=\"0 0 40 40\"/></ofd:Annot>");
        let mut drawn = drawn.clone();
        drawn.push(("Doc_0/Annot_0.xml".into(), xml("PageAnnot", &annot)));
        let report = judge(&recipe, &zip(&drawn));
        assert_eq!(seen(&report).contains(&(Code::ImageOnly, Level::Warning)), is_told, "{kind}: {report:?}");
        assert_eq!(report.indication, Indication::Indeterminate);
    }
    files.push(("Doc_0/Seal.esl".into(), recipe.seal(&recipe.world()).raw().to_vec()));
    let report = judge(&recipe, &zip(&files));
    assert_eq!(seen(&report), [(Code::NoSignature, Level::Indeterminate), (Code::ImageOnly, Level::Warning)].into());
}

#[test]
fn a_second_list_of_signatures_does_not_count() {
    let recipe = Recipe::good();
    let mut files = unzip(&recipe.package(&recipe.world()));
    let empty = br#"<ofd:Signatures xmlns:ofd="http://www.ofdspec.org/2016"/>"#.to_vec();
    files.push(("Doc_0/Signatures.xml".into(), empty));
    let report = judge(&recipe, &zip(&files));
    assert_eq!(report.signatures.len(), 1);
    assert_eq!(codes(&report, 0), [(Code::UncoveredContent, Level::Warning)]);
}

/// A package with the integrity list of GM/T 0099, naming `listed`.
fn with_integrity_list(world: &World, listed: &[&str]) -> Files {
    let mut files = plain();
    let entries: String = listed.iter().enumerate().map(|(i, f)| format!("<ofd:File ID=\"{i}\" FileLoc=\"/{f}\"/>")).collect();
    let list = format!(
        "<ofd:DocEntries xmlns:ofd=\"http://www.ofdspec.org/2016\" ID=\"x\" CreatorName=\"test\" Version=\"1\" CreationDate=\"2026-06-01\">\
         <ofd:SignedValueLoc>/signedvalue.dat</ofd:SignedValueLoc><ofd:FileList>{entries}</ofd:FileList></ofd:DocEntries>"
    );
    let value = Recipe::with(|r| r.value = Value::Digest).signed_value(world, list.as_bytes(), "");
    files.push(("OFDEntries.xml".into(), list.into_bytes()));
    files.push(("signedvalue.dat".into(), value));
    files
}

#[test]
fn an_integrity_list_proves_names_and_no_contents() {
    let recipe = Recipe::good();
    let world = recipe.world();
    let names: Vec<String> = plain().into_iter().map(|(name, _)| name).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let report = judge(&recipe, &zip(&with_integrity_list(&world, &all)));
    assert_eq!(report.signatures[0].kind, SignatureKind::Gmt0099);
    let open = [(Code::UncoveredContent, Level::Indeterminate), (Code::UncoveredContent, Level::Warning)];
    assert_eq!(codes(&report, 0), [&[(Code::IntegrityList, Level::Info)][..], &open].concat(), "{report:#?}");

    let report = judge(&recipe, &zip(&with_integrity_list(&world, &all[1..])));
    assert!(codes(&report, 0).contains(&(Code::IntegrityList, Level::Error)));
    let mut more = all.clone();
    more.push("Doc_0/gone.xml");
    let report = judge(&recipe, &zip(&with_integrity_list(&world, &more)));
    assert!(codes(&report, 0).contains(&(Code::IntegrityList, Level::Error)));
}

/// SignedData whose signer names other algorithms: SHA-256 and the given one.
fn foreign(world: &World, algorithm: Oid<'_>) -> Vec<u8> {
    const SHA256: Oid<'static> = Oid(b"\x60\x86\x48\x01\x65\x03\x04\x02\x01");
    let draft = SignedDataDraft {
        identifiers: Identifiers::Pkcs7,
        content_type: None,
        content: Content::Detached(sm3(b"data")),
        signer_certificate: world.signer.der(),
        further_certificates: &[],
        signature_algorithm: oid::SM2_WITH_SM3,
        signing_time: None,
        attributes: &[],
    };
    let unsigned = draft.to_be_signed().unwrap();
    let bytes = unsigned.assemble(&world.signer.key.sign(unsigned.signed_bytes())).unwrap().raw().to_vec();
    // SM3 and SM2-with-SM3 have OIDs of the same length as each other; the replacements need not be.
    rewrite(&bytes, &[(oid::SM3, SHA256), (oid::SM2_WITH_SM3, algorithm)])
}

/// The same structure with other object identifiers, outside of certificates.
fn rewrite(bytes: &[u8], changes: &[(Oid<'_>, Oid<'_>)]) -> Vec<u8> {
    let tlv = asn1::Tlv::read_all(bytes).unwrap();
    if tlv.tag == asn1::OID {
        let found = changes.iter().find(|(from, _)| from.0 == tlv.value).map_or(Oid(tlv.value), |(_, to)| *to);
        return asn1::object_identifier(found);
    }
    // A certificate is in the first context tag of SignedData and must stay.
    if tlv.tag & 0x20 == 0 || tlv.raw.len() > 200 && sealagent::pki::Certificate::parse(tlv.raw).is_ok() {
        return tlv.raw.to_vec();
    }
    let children: Vec<Vec<u8>> = tlv.children().unwrap().iter().map(|c| rewrite(c.raw, changes)).collect();
    asn1::der(tlv.tag, &children.concat())
}

#[test]
fn foreign_algorithms_are_told_apart_from_bad_ones() {
    const ED25519: Oid<'static> = Oid(b"\x2b\x65\x70");
    const SHA1_WITH_RSA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05");
    let recipe = Recipe::good();
    let world = recipe.world();
    let report = judge(&recipe, &foreign(&world, ED25519));
    assert_eq!(report.signatures[0].kind, SignatureKind::Unsupported);
    assert!(codes(&report, 0).contains(&(Code::NotSm2, Level::Indeterminate)), "{report:#?}");
    assert_eq!(report.indication, Indication::Indeterminate);
    let report = judge(&recipe, &foreign(&world, SHA1_WITH_RSA));
    assert!(codes(&report, 0).contains(&(Code::AlgUnsupported, Level::Error)), "{report:#?}");
    // RSA or ECDSA named over an SM2 key: judged as that, and the key does not fit.
    for algorithm in [crate::forge::SHA256_WITH_RSA, ECDSA_WITH_SHA256] {
        let report = judge(&recipe, &foreign(&world, algorithm));
        assert!(codes(&report, 0).contains(&(Code::NotSm2, Level::Info)), "{report:#?}");
        assert!(codes(&report, 0).contains(&(Code::AlgUnsupported, Level::Error)), "{report:#?}");
    }
}
