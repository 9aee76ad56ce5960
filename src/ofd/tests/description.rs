//! Lists and descriptions of signatures as products write them, deviations named.

use super::super::{CheckMethod, FileClass, ListedKind, OfdError, ReferenceOutcome, Signature, ToleranceKind, XmlFault};
use super::signing::{by_hand, open, signatures};
use super::zip_builder::{RawEntry, zip};
use crate::stamp::RectMm;

const ENTRY: &str = "<OFD><DocBody><DocRoot>D.xml</DocRoot><Signatures>S/L.xml</Signatures></DocBody></OFD>";
const ONE: &str = "<Signatures><Signature ID='1' BaseLoc='S.xml'/></Signatures>";

/// A document with that list and that description of its signature.
fn document(list: &str, description: &str) -> Vec<u8> {
    by_hand(&[("OFD.xml", ENTRY), ("S/L.xml", list), ("S/S.xml", description)])
}

/// The description, and what was tolerated in it.
fn read(info: &str) -> (Signature, Vec<ToleranceKind>) {
    let description = format!(
        "<Signature xmlns='http://www.ofdspec.org/2016'><SignedInfo>{info}</SignedInfo><SignedValue>v.dat</SignedValue></Signature>"
    );
    let mut ofd = open(document(ONE, &description));
    let signature = signatures(&mut ofd).remove(0);
    let tolerances = ofd.package.tolerances().filter(|tolerance| tolerance.path == "/S/S.xml").map(|t| t.kind.clone()).collect();
    (signature, tolerances)
}

fn refused(description: &str) -> OfdError {
    let mut ofd = open(document(ONE, description));
    let body = ofd.single_body().unwrap();
    let listed = ofd.signature_list(&body).unwrap().unwrap().signatures.remove(0);
    ofd.signature(&listed).unwrap_err()
}

#[test]
fn every_field_of_a_description_is_read() {
    let (signature, tolerances) = read(
        "<Provider ProviderName='P' Version='2' Company='C' ProtocolVer='4' InterUser='x'><ExtendData>e</ExtendData></Provider>\
         <SignatureMethod>1.2.156.10197.1.501</SignatureMethod><SignatureDateTime>20220819084224Z</SignatureDateTime>\
         <Parameters><Parameter Name='a' Type='t'>one</Parameter><Parameter Name='b'/></Parameters>\
         <References CheckMethod='1.2.156.10197.1.401'><Reference FileRef='/OFD.xml'><CheckValue> AQ\n ID </CheckValue></Reference></References>\
         <StampAnnot ID='2' PageRef='9' Boundary='1 -2.5 3e1 4' Clip='0 0 1 4'/><Seal BaseLoc='Seal.esl' ImageLoc='/i.png'/>",
    );
    assert_eq!(tolerances, []);
    let provider = &signature.provider;
    let fields = [&provider.name, &provider.version, &provider.company, &provider.protocol_version, &provider.extend_data];
    assert_eq!(fields.map(|field| field.as_deref().unwrap()), ["P", "2", "C", "4", "e"]);
    assert_eq!(signature.method.as_deref(), Some("1.2.156.10197.1.501"));
    assert_eq!(signature.date_time.unwrap().time, Some("2022-08-19T08:42:24Z".parse().unwrap()));
    let parameters: Vec<_> =
        signature.parameters.iter().map(|p| (p.name.as_str(), p.kind.as_deref(), p.value.as_str())).collect();
    assert_eq!(parameters, [("a", Some("t"), "one"), ("b", None, "")]);
    assert_eq!(signature.check_method, CheckMethod::Sm3);
    assert_eq!(signature.references[0].check_value.as_deref(), Some(&[1, 2, 3][..]));
    assert_eq!(signature.stamps[0].boundary, RectMm { x: 1.0, y: -2.5, width: 30.0, height: 4.0 });
    assert_eq!(signature.stamps[0].clip, Some(RectMm { x: 0.0, y: 0.0, width: 1.0, height: 4.0 }));
    assert_eq!((signature.seal.unwrap().as_str(), signature.seal_image.unwrap().as_str()), ("/S/Seal.esl", "/i.png"));
    assert_eq!(signature.signed_value.as_str(), "/S/v.dat");
}

#[test]
fn deviations_of_products_are_named() {
    let references = "<References CheckMethod='SM3'/>";
    let (signature, tolerances) = read(
        "<Provider><ProviderName>P</ProviderName><Version>2</Version></Provider><SignatureDateTime>yesterday</SignatureDateTime>\
         <References><Reference FileRef='a\\b'><CheckValue/></Reference></References><StampAnnot PageRef='9' Boundary='0 0 1 1'/>\
         <Seal><BaseLoc>/x.esl</BaseLoc></Seal>",
    );
    assert_eq!((signature.provider.name.as_deref(), signature.provider.version.as_deref()), (Some("P"), Some("2")));
    assert_eq!(signature.date_time.unwrap().time, None);
    assert_eq!(signature.check_method, CheckMethod::Absent);
    assert_eq!(signature.references[0].path.as_ref().unwrap().as_str(), "/S/a/b");
    assert_eq!(signature.seal.unwrap().as_str(), "/x.esl");
    use ToleranceKind::{BackslashPath, FileRefRelative, ProviderElements, SignatureDateTimeForm, StampIdMissing};
    assert_eq!(tolerances, [BackslashPath, FileRefRelative, ProviderElements, SignatureDateTimeForm, StampIdMissing]);
    assert_eq!(read(references).0.provider.name, None);
}

#[test]
fn signing_times_are_read_in_every_form_that_was_met() {
    for (raw, utc) in [
        ("20220819084224Z", "2022-08-19T08:42:24Z"),
        ("20200723130907.763Z", "2020-07-23T13:09:07Z"),
        ("20201010151120", "2020-10-10T07:11:20Z"),
        ("2020-04-22 16:22:44", "2020-04-22T08:22:44Z"),
        ("2020-04-22T16:22:44+08:00", "2020-04-22T08:22:44Z"),
        ("20200422162244.5-0130", "2020-04-22T17:52:44Z"),
        ("2020/04/22 00:00:00", "2020-04-21T16:00:00Z"),
    ] {
        let (signature, tolerances) =
            read(&format!("<SignatureDateTime>{raw}</SignatureDateTime><References CheckMethod='SM3'/>"));
        assert_eq!(signature.date_time.unwrap().time, Some(utc.parse().unwrap()), "{raw}");
        assert_eq!(tolerances, [], "{raw}");
    }
    for raw in [
        "20221319084224Z",
        "20220230084224Z",
        "2022081908422",
        "20220819246060Z",
        "20220819084224+8",
        "2022-0819T084224X",
        "２０22",
    ] {
        let (signature, _) = read(&format!("<SignatureDateTime>{raw}</SignatureDateTime><References CheckMethod='SM3'/>"));
        assert_eq!(signature.date_time.unwrap().time, None, "{raw}");
    }
}

#[test]
fn a_description_that_lacks_or_repeats_what_counts_is_refused() {
    let whole = "<Signature><SignedInfo><References CheckMethod='SM3'/></SignedInfo><SignedValue>v</SignedValue></Signature>";
    let mut ofd = open(document(ONE, whole));
    assert_eq!(signatures(&mut ofd).len(), 1);
    for (part, name) in [
        ("<References CheckMethod='SM3'/>", "References"),
        ("<SignedValue>v</SignedValue>", "SignedValue"),
        ("<SignedInfo><References CheckMethod='SM3'/></SignedInfo>", "SignedInfo"),
    ] {
        let error = refused(&whole.replace(part, ""));
        assert!(matches!(error, OfdError::MissingElement { element, .. } if element == name), "{name}: {error}");
        let error = refused(&whole.replace(part, &part.repeat(2)));
        assert!(matches!(error, OfdError::Xml { fault: XmlFault::DuplicateElement(element), .. } if element == name), "{error}");
    }
    for stamp in ["<StampAnnot PageRef='1' Boundary='0 0 1'/>", "<StampAnnot PageRef='1' Boundary='0 0 NaN 1'/>"] {
        let error = refused(&whole.replace("</SignedInfo>", &format!("{stamp}</SignedInfo>")));
        assert!(matches!(error, OfdError::BadValue { field: "Boundary", .. }), "{error}");
    }
}

#[test]
fn lists_are_read_with_their_deviations() {
    let list = "<Signatures><MaxSignId>1</MaxSignId><Signature ID='s001' Type='seal' BaseLoc='a'/><Signature ID='s001' TYPE='Sign' BaseLoc='b'/>\
                <Signature ID='s009' Type=' Sign ' Relative='s001' BaseLoc='/c'/><Signature ID='x' Type='Stamp' BaseLoc='d'/><MaxSignId>2</MaxSignId></Signatures>";
    let mut ofd = open(document(list, ""));
    let body = ofd.single_body().unwrap();
    let found = ofd.signature_list(&body).unwrap().unwrap();
    let kinds: Vec<&ListedKind> = found.signatures.iter().map(|signature| &signature.kind).collect();
    assert_eq!(kinds, [&ListedKind::Seal, &ListedKind::Seal, &ListedKind::Sign, &ListedKind::Other("Stamp".into())]);
    assert_eq!(found.signatures[2].relative.as_deref(), Some("s001"));
    assert_eq!(found.signatures[2].path.as_str(), "/c");
    assert_eq!(found.max_sign_id.as_deref(), Some("2"));
    let kinds: Vec<ToleranceKind> = ofd
        .package
        .tolerances()
        .filter(|tolerance| tolerance.path == "/S/L.xml")
        .map(|tolerance| tolerance.kind.clone())
        .collect();
    use ToleranceKind::{MaxSignIdRepeated, MaxSignIdWrong, Namespace, SignatureIdRepeated};
    assert_eq!(kinds, [Namespace, MaxSignIdWrong, MaxSignIdRepeated, SignatureIdRepeated("s001".into())]);

    // Two entries of one description: it would be judged twice, as two signatures.
    let twice = "<Signatures><Signature ID='1' BaseLoc='a'/><Signature ID='2' BaseLoc='./A'/><Signature ID='3' BaseLoc='a'/></Signatures>";
    let mut ofd = open(document(twice, ""));
    assert!(matches!(ofd.signature_list(&body), Err(OfdError::BadValue { field: "BaseLoc of a second signature", .. })));
    let many = format!(
        "<Signatures>{}</Signatures>",
        (0..2001).map(|n| format!("<Signature ID='{n}' BaseLoc='{n}'/>")).collect::<String>()
    );
    assert!(matches!(open(document(&many, "")).signature_list(&body), Err(OfdError::Limit { what: "signatures", .. })));
}

#[test]
fn a_path_in_another_case_is_found_and_named() {
    let digest = crate::sm::sm3(ENTRY.as_bytes());
    let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest.0);
    let description = format!(
        "<Signature><SignedInfo><References CheckMethod='SM3'><Reference FileRef='/ofd.XML'><CheckValue>{value}</CheckValue></Reference></References></SignedInfo><SignedValue>v</SignedValue></Signature>"
    );
    let mut ofd = open(document(ONE, &description));
    let signature = signatures(&mut ofd).remove(0);
    assert_eq!(ofd.check_references(&signature).unwrap()[0].outcome, ReferenceOutcome::Ok);
    assert!(ofd.package.tolerances().any(|tolerance| tolerance.kind == ToleranceKind::CaseFolded));
    let body = ofd.single_body().unwrap();
    let contents = ofd.contents(&body).unwrap();
    assert!(
        contents.uncovered_by(&signature).all(|(_, class)| *class != FileClass::EntryFile),
        "the real name counts as covered"
    );
}

#[test]
fn a_list_of_missing_files_ends_at_its_limit() {
    let media: String = (0..5_000).map(|n| format!("<MultiMedia ID='{n}'><MediaFile>{n}.png</MediaFile></MultiMedia>")).collect();
    let resources = format!("<Res><MultiMedias>{media}</MultiMedias></Res>");
    let root = "<Document><CommonData><DocumentRes>R.xml</DocumentRes></CommonData></Document>";
    let entry = "<OFD><DocBody><DocRoot>D.xml</DocRoot></DocBody></OFD>";
    let mut ofd = open(by_hand(&[("OFD.xml", entry), ("D.xml", root), ("R.xml", &resources)]));
    let body = ofd.single_body().unwrap();
    let contents = ofd.contents(&body).unwrap();
    assert_eq!((contents.files.len(), contents.missing.len(), contents.unreadable.len()), (3, 1_000, 1));
    assert!(matches!(contents.unreadable[0].1, OfdError::Limit { what: "missing files", .. }));
}

#[test]
fn tolerances_end_with_a_word_that_there_were_more() {
    let references: String =
        (0..900).map(|n| format!("<Signature ID='{n}' BaseLoc='{n}'/><Signature ID='{n}' BaseLoc='x{n}'/>")).collect();
    let list = format!("<Signatures>{references}</Signatures>");
    let names: Vec<_> = (0..600).map(|n| RawEntry::new(format!("d\\{n}"), "")).collect();
    let mut entries = vec![RawEntry::new("OFD.xml", ENTRY), RawEntry::new("S/L.xml", list)];
    entries.extend(names);
    let mut ofd = open(zip(&entries));
    let body = ofd.single_body().unwrap();
    ofd.signature_list(&body).unwrap();
    assert_eq!(ofd.package.tolerances().count(), 1_001);
    assert_eq!(ofd.package.tolerances().filter(|tolerance| tolerance.kind == ToleranceKind::Further).count(), 1);
}
