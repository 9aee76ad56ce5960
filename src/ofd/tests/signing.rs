//! One more signature, and one more: what is there stays, what is asked appears.

use std::io::{Cursor, Read as _};

use super::super::write::{Item, NewDocument, NewImage, NewPage};
use super::super::{ListedKind, Ofd, OfdError, ReferenceOutcome, Signature};
use super::zip_builder::{RawEntry, zip};
use crate::document::{DocumentError, Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use crate::stamp::{Edge, PageNumber, PageSelection, Placement, RectMm, SizeMm, Stamp};

type Memory = Ofd<Cursor<Vec<u8>>>;

const A4: SizeMm = SizeMm { width: 210.0, height: 297.0 };

pub(super) fn contract(pages: usize) -> Vec<u8> {
    let page = |n: usize| NewPage {
        size: A4,
        items: vec![
            Item::Text { x: 20.0, y: 30.0, size: 5.0, font: "宋体".into(), text: format!("第{n}页 <A&B>") },
            Item::Line { from: (20.0, 35.0), to: (190.0, 35.0), width: 0.3 },
            Item::Image { image: 0, rect: RectMm { x: 20.0, y: 40.0, width: 10.0, height: 10.0 } },
        ],
    };
    let document = NewDocument {
        title: "合同 & <样本>".into(),
        date: "2026-11-24".into(),
        pages: (1..=pages).map(page).collect(),
        images: vec![NewImage { format: "PNG".into(), bytes: b"\x89PNG not really".to_vec() }],
    };
    let mut out = Vec::new();
    document.write(&mut out).unwrap();
    out
}

pub(super) fn open(bytes: impl Into<Vec<u8>>) -> Memory {
    Ofd::open(Cursor::new(bytes.into())).unwrap()
}

pub(super) fn plan(placements: Vec<Placement>) -> SigningPlan {
    SigningPlan {
        placements,
        kind: SignatureKind::Seal(b"seal bytes".to_vec()),
        provider: Provider { name: "seal\"agent<&>".into(), version: "0.1".into() },
        time: "2026-11-24T06:00:00Z".parse().unwrap(),
        close: false,
        room: 0,
    }
}

pub(super) fn sign(document: &[u8], plan: &SigningPlan, value: &[u8]) -> Vec<u8> {
    let prepared = open(document).prepare(plan).unwrap();
    let mut out = Vec::new();
    prepared.embed(value, &mut out).unwrap();
    out
}

fn refusal(document: &[u8], plan: &SigningPlan) -> DocumentError {
    open(document).prepare(plan).err().unwrap()
}

pub(super) fn signatures(ofd: &mut Memory) -> Vec<Signature> {
    let body = ofd.single_body().unwrap();
    let list = ofd.signature_list(&body).unwrap().unwrap();
    list.signatures.iter().map(|listed| ofd.signature(listed).unwrap()).collect()
}

fn assert_all_references_hold(bytes: &[u8], count: usize) {
    let mut ofd = open(bytes);
    let signatures = signatures(&mut ofd);
    assert_eq!(signatures.len(), count);
    for signature in &signatures {
        for result in ofd.check_references(signature).unwrap() {
            assert_eq!(result.outcome, ReferenceOutcome::Ok, "{} in {}", result.path, signature.path);
        }
    }
}

fn on_page(number: u32) -> Placement {
    Placement {
        page: PageNumber::new(number).unwrap(),
        rect: RectMm { x: 150.0, y: 240.0, width: 40.0, height: 40.0 },
        clip: None,
    }
}

/// The files of a package as another program reads them: the zip crate.
fn files_by_zip_crate(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

#[test]
fn a_fresh_document_reads_back() {
    let bytes = contract(3);
    assert_eq!(bytes, contract(3), "the same input gives the same bytes");
    let mut ofd = open(bytes);
    let body = ofd.single_body().unwrap();
    assert_eq!(body.title.as_deref(), Some("合同 & <样本>"));
    assert_eq!(ofd.page_sizes(&body.current_root).unwrap(), [A4; 3]);
    let contents = ofd.contents(&body).unwrap();
    assert!(contents.missing.is_empty() && contents.unreadable.is_empty());
    assert!(contents.class(&body.root.resolve("Res/image_0.png").unwrap()).is_some());
    assert_eq!(ofd.package.tolerances().count(), 0);
    let bad = NewDocument {
        pages: vec![NewPage { size: A4, items: vec![Item::Image { image: 3, rect: on_page(1).rect }] }],
        ..NewDocument::default()
    };
    assert!(matches!(bad.write(&mut Vec::new()), Err(DocumentError::Ofd(OfdError::MissingFile { .. }))));
    assert!(matches!(NewDocument::default().write(&mut Vec::new()), Err(DocumentError::NoPageChosen { .. })));
}

#[test]
fn a_first_signature_is_what_was_planned() {
    let before = contract(2);
    let prepared = open(before.clone()).prepare(&plan(vec![on_page(2)])).unwrap();
    let (digest, property) = (prepared.digest(), prepared.property().to_owned());
    assert_eq!(property, "/Doc_0/Signs/Sign_0/Signature.xml");
    let mut after = Vec::new();
    prepared.embed(b"signed value", &mut after).unwrap();

    let mut ofd = open(after.clone());
    let body = ofd.single_body().unwrap();
    let list = ofd.signature_list(&body).unwrap().unwrap();
    assert_eq!(list.path.as_str(), "/Doc_0/Signs/Signatures.xml");
    assert_eq!(list.max_sign_id.as_deref(), Some("s002"));
    assert_eq!((list.signatures[0].id.as_str(), &list.signatures[0].kind), ("s001", &ListedKind::Seal));
    let signature = ofd.signature(&list.signatures[0]).unwrap();
    assert_eq!((signature.path.as_str(), signature.digest), (property.as_str(), digest));
    assert_eq!(ofd.signed_value(&signature).unwrap(), b"signed value");
    assert_eq!(ofd.seal_file(&signature).unwrap().unwrap(), b"seal bytes");
    assert_eq!(signature.provider.name.as_deref(), Some("seal\"agent<&>"));
    assert_eq!(signature.date_time.as_ref().unwrap().time, Some("2026-11-24T06:00:00Z".parse().unwrap()));
    let pages = ofd.pages(&body.current_root).unwrap();
    assert_eq!(signature.stamps.len(), 1);
    assert_eq!((&signature.stamps[0].page_ref, signature.stamps[0].id.as_str()), (&pages[1].id, "s002"));
    assert_eq!((signature.stamps[0].boundary, signature.stamps[0].clip), (on_page(2).rect, None));

    // Covered: everything but the list and the signature's own two files.
    let contents = ofd.contents(&body).unwrap();
    let uncovered: Vec<&str> = contents.uncovered_by(&signature).map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        uncovered,
        ["/Doc_0/Signs/Sign_0/Signature.xml", "/Doc_0/Signs/Sign_0/SignedValue.dat", "/Doc_0/Signs/Signatures.xml"]
    );
    assert_all_references_hold(&after, 1);
    assert_eq!(sign(&before, &plan(vec![on_page(2)]), b"signed value"), after, "the same input gives the same bytes");
}

#[test]
fn only_the_entry_file_and_the_list_change() {
    let documents = [contract(2), sign(&contract(2), &plan(vec![]), b"1")];
    for (before, may_change) in documents.iter().zip(["OFD.xml", "Doc_0/Signs/Signatures.xml"]) {
        let after = files_by_zip_crate(&sign(before, &plan(vec![on_page(1)]), b"2"));
        for (name, bytes) in files_by_zip_crate(before) {
            let now = &after.iter().find(|(other, _)| *other == name).unwrap().1;
            assert_eq!(*now == bytes, name != may_change, "{name}");
        }
    }
    // OFD.xml: the element inserted, every other byte kept.
    let find = |bytes: &[u8]| files_by_zip_crate(bytes).into_iter().find(|(name, _)| name == "OFD.xml").unwrap().1;
    let (before, after) = (find(&documents[0]), find(&documents[1]));
    let text = String::from_utf8(after).unwrap();
    let element = "<ofd:Signatures>/Doc_0/Signs/Signatures.xml</ofd:Signatures>";
    assert_eq!(text.replacen(element, "", 1).into_bytes(), before);
}

#[test]
fn three_signatures_in_a_row_all_hold() {
    let mut bytes = contract(5);
    for count in 1..=3 {
        let stamp = Stamp::Straddle { edge: Edge::Right, pages: PageSelection::All, y: 100.0 };
        let places = stamp.place(&[A4; 5], SizeMm { width: 40.0, height: 40.0 }, &[]).unwrap();
        bytes = sign(&bytes, &plan(places), format!("value {count}").as_bytes());
        assert_all_references_hold(&bytes, count);
    }
    let mut ofd = open(bytes.clone());
    let body = ofd.single_body().unwrap();
    let list = ofd.signature_list(&body).unwrap().unwrap();
    let ids: Vec<&str> = list.signatures.iter().map(|signature| signature.id.as_str()).collect();
    assert_eq!(ids, ["s001", "s007", "s013"], "one counter for signatures and their five stamps");
    assert_eq!(list.max_sign_id.as_deref(), Some("s018"));
    assert_eq!(ofd.package.tolerances().count(), 0);
    let signatures = signatures(&mut ofd);
    let boundaries: Vec<f64> = signatures[2].stamps.iter().map(|stamp| stamp.boundary.x).collect();
    assert_eq!(boundaries, [202.0, 194.0, 186.0, 178.0, 170.0]);
    // Each later signature covers the earlier ones whole.
    let contents = ofd.contents(&body).unwrap();
    assert_eq!(contents.uncovered_by(&signatures[2]).count(), 3);
    for (name, _) in files_by_zip_crate(&bytes) {
        assert_eq!(files_by_zip_crate(&bytes).iter().filter(|(other, _)| *other == name).count(), 1, "{name}");
    }
}

#[test]
fn a_closed_document_is_refused() {
    let open_one = sign(&contract(1), &plan(vec![]), b"1");
    let closed = sign(&open_one, &SigningPlan { close: true, ..plan(vec![]) }, b"2");
    assert_all_references_hold(&closed, 2);
    let error = refusal(&closed, &plan(vec![]));
    assert!(matches!(&error, DocumentError::Closed { by } if by == "signature s002"), "{error}");
}

#[test]
fn a_list_of_all_files_closes_the_document() {
    let list = r#"<ofd:DocEntries xmlns:ofd="http://www.ofdspec.org/2016"><ofd:SignedValueLoc>/v.dat</ofd:SignedValueLoc><ofd:FileList/></ofd:DocEntries>"#;
    let mut entries: Vec<RawEntry> =
        files_by_zip_crate(&contract(1)).into_iter().map(|(name, bytes)| RawEntry::new(name, bytes)).collect();
    entries.push(RawEntry::new("OFDEntries.xml", list));
    let error = refusal(&zip(&entries), &plan(vec![]));
    assert!(matches!(&error, DocumentError::Closed { by } if by == "/OFDEntries.xml"), "{error}");
    entries.last_mut().unwrap().name = b"Encryptions.xml".to_vec();
    assert!(matches!(refusal(&zip(&entries), &plan(vec![])), DocumentError::Encrypted));
}

#[test]
fn a_signature_without_seal_is_listed_as_sign() {
    let bytes = sign(&contract(1), &SigningPlan { kind: SignatureKind::Sign, ..plan(vec![]) }, b"cms");
    let mut ofd = open(bytes);
    let body = ofd.single_body().unwrap();
    let list = ofd.signature_list(&body).unwrap().unwrap();
    assert_eq!(list.signatures[0].kind, ListedKind::Sign);
    let signature = ofd.signature(&list.signatures[0]).unwrap();
    assert_eq!((signature.seal.as_ref(), signature.stamps.len()), (None, 0));
}

#[test]
fn a_page_that_does_not_exist_is_named() {
    let error = refusal(&contract(2), &plan(vec![on_page(3)]));
    assert!(matches!(error, DocumentError::PageNotFound { asked, pages: 2 } if asked.number() == 3), "{error}");
}

/// A document by hand: texts of its files.
pub(super) fn by_hand(files: &[(&str, &str)]) -> Vec<u8> {
    zip(&files.iter().map(|(name, text)| RawEntry::new(name, text)).collect::<Vec<_>>())
}

const PLAIN: [(&str, &str); 3] = [
    ("OFD.xml", "<OFD><DocBody><DocRoot>D.xml</DocRoot></DocBody></OFD>"),
    (
        "D.xml",
        "<Document><CommonData><PageArea><PhysicalBox>5 7 100 200</PhysicalBox></PageArea></CommonData><Pages><Page ID='9' BaseLoc='P.xml'/><Page ID='10' BaseLoc='Q.xml'/></Pages></Document>",
    ),
    ("P.xml", "<Page><Content/></Page>"),
];
const OTHER_PAGE: (&str, &str) = (
    "Q.xml",
    "<Page><Content><Area><PhysicalBox>0 0 1 1</PhysicalBox></Area></Content><Area><PhysicalBox>-3 0 50 60</PhysicalBox></Area></Page>",
);

#[test]
fn stamps_are_measured_from_the_corner_of_the_page_box() {
    let document = by_hand(&[&PLAIN[..], &[OTHER_PAGE]].concat());
    let mut ofd = open(document.clone());
    let pages = ofd.pages(&ofd.single_body().unwrap().root).unwrap();
    assert_eq!(pages[0].area, RectMm { x: 5.0, y: 7.0, width: 100.0, height: 200.0 });
    assert_eq!(pages[1].area, RectMm { x: -3.0, y: 0.0, width: 50.0, height: 60.0 }, "its own, not one inside its content");
    let stamp = Stamp::Page { pages: PageSelection::All, x: 10.0, y: 20.0, width: None };
    let places = stamp.place(&[pages[0].area.size(), pages[1].area.size()], SizeMm { width: 30.0, height: 20.0 }, &[]).unwrap();
    let mut ofd = open(sign(&document, &plan(places), b"v"));
    let signature = signatures(&mut ofd).remove(0);
    let corners: Vec<(f64, f64)> = signature.stamps.iter().map(|stamp| (stamp.boundary.x, stamp.boundary.y)).collect();
    assert_eq!(corners, [(15.0, 27.0), (7.0, 20.0)]);
    assert_eq!(signature.path.as_str(), "/Signs/Sign_0/Signature.xml");
}

#[test]
fn lists_of_other_products_are_extended_in_place() {
    let listed = |list: &str| {
        let signature = "<Signature><SignedInfo><References CheckMethod='SM3'/><StampAnnot ID='7' PageRef='9' Boundary='0 0 1 1'/></SignedInfo><SignedValue>v</SignedValue></Signature>";
        let mut files =
            vec![("OFD.xml", "<OFD><DocBody><DocRoot>D.xml</DocRoot><Signatures>S/L.xml</Signatures></DocBody></OFD>")];
        files.extend([
            PLAIN[1],
            PLAIN[2],
            OTHER_PAGE,
            ("S/L.xml", list),
            ("S/Sign_1/x", ""),
            ("S/Sign_0/Signature.xml", signature),
        ]);
        let after = sign(&by_hand(&files), &plan(vec![on_page_of_hand()]), b"v");
        let text = files_by_zip_crate(&after).into_iter().find(|(name, _)| name == "S/L.xml").unwrap().1;
        (String::from_utf8(text).unwrap(), after)
    };
    let line = |prefix: &str, id: &str, directory: &str| {
        format!("<{prefix}Signature ID=\"{id}\" Type=\"Seal\" BaseLoc=\"{directory}/Signature.xml\"/>")
    };
    // Ids without letters go on without; the stamp's 7 counts although MaxSignId says 2; Sign_1 is taken.
    let old = "<S:Signature ID='2' BaseLoc='Sign_0/Signature.xml'/>";
    let open_tag = "<S:Signatures xmlns:S='http://www.ofdspec.org/2016'>";
    let (text, after) = listed(&format!("{open_tag} <S:MaxSignId>2</S:MaxSignId><!--k-->{old}\n</S:Signatures>"));
    let new = line("S:", "8", "/S/Sign_2");
    assert_eq!(text, format!("{open_tag} <S:MaxSignId>9</S:MaxSignId><!--k-->{old}\n{new}</S:Signatures>"));
    assert_all_references_hold(&after, 2);
    // No MaxSignId; two of them.
    let old = "<Signature ID='s010' BaseLoc='Sign_0/Signature.xml'/>";
    let new = line("", "s011", "/S/Sign_2");
    let (text, _) = listed(&format!("<Signatures>{old}</Signatures>"));
    assert_eq!(text, format!("<Signatures><MaxSignId>s012</MaxSignId>{old}{new}</Signatures>"));
    let (text, _) = listed(&format!("<Signatures><MaxSignId/>{old}<MaxSignId>s999999999999</MaxSignId></Signatures>"));
    assert_eq!(text, format!("<Signatures><MaxSignId>s012</MaxSignId>{old}<MaxSignId>s012</MaxSignId>{new}</Signatures>"));
    // An empty list.
    let (text, after) = listed("<Signatures/>");
    let new = line("", "s001", "/S/Sign_2");
    assert_eq!(text, format!("<Signatures><MaxSignId>s002</MaxSignId>{new}</Signatures>"));
    assert_all_references_hold(&after, 1);
    // In another encoding, the rest kept byte for byte.
    let gbk = encoding_rs::GBK.encode("<?xml version='1.0' encoding='GBK'?><Signatures><!--印章--></Signatures>").0.into_owned();
    let files = [
        RawEntry::new("OFD.xml", "<OFD><DocBody><DocRoot>D.xml</DocRoot><Signatures>L.xml</Signatures></DocBody></OFD>"),
        RawEntry::new("D.xml", PLAIN[1].1),
        RawEntry::new("L.xml", &gbk),
    ];
    let after = sign(&zip(&files), &plan(vec![]), b"v");
    let text = files_by_zip_crate(&after).into_iter().find(|(name, _)| name == "L.xml").unwrap().1;
    assert!(
        text.starts_with(b"<?xml version='1.0' encoding='GBK'?><Signatures><MaxSignId>s001</MaxSignId><!--\xd3\xa1\xd5\xc2-->")
    );
    assert_all_references_hold(&after, 1);
}

fn on_page_of_hand() -> Placement {
    Placement { page: PageNumber::new(1).unwrap(), rect: RectMm { x: 1.0, y: 1.0, width: 1.0 / 3.0, height: 2.0 }, clip: None }
}

#[test]
fn an_empty_place_for_the_list_is_filled() {
    let entry =
        "<o:OFD xmlns:o='http://www.ofdspec.org'><o:DocBody><o:DocRoot>D.xml</o:DocRoot><o:Signatures/></o:DocBody></o:OFD>";
    let after = sign(&by_hand(&[("OFD.xml", entry), PLAIN[1], ("signs/SIGNATURES.xml", "?")]), &plan(vec![]), b"v");
    let text = files_by_zip_crate(&after).into_iter().find(|(name, _)| name == "OFD.xml").unwrap().1;
    let expected = entry.replace("<o:Signatures/>", "<o:Signatures>/Signs/Signatures_1.xml</o:Signatures>");
    assert_eq!(String::from_utf8(text).unwrap(), expected, "a name that case-insensitive readers do not confuse");
    assert_all_references_hold(&after, 1);
}

#[test]
fn several_documents_in_one_package_are_refused() {
    let two = "<OFD><DocBody><DocRoot>D.xml</DocRoot></DocBody><DocBody><DocRoot>E.xml</DocRoot></DocBody></OFD>";
    let error = refusal(&by_hand(&[("OFD.xml", two), PLAIN[1]]), &plan(vec![]));
    assert!(matches!(error, DocumentError::Ofd(OfdError::SeveralDocuments { count: 2 })), "{error}");
}

#[test]
fn a_document_with_an_unreadable_signature_is_refused() {
    let signed = sign(&contract(1), &plan(vec![]), b"1");
    let mut entries: Vec<RawEntry> =
        files_by_zip_crate(&signed).into_iter().map(|(name, bytes)| RawEntry::new(name, bytes)).collect();
    entries.iter_mut().find(|entry| entry.name.ends_with(b"Signature.xml")).unwrap().data = b"<Signature/>".to_vec();
    let error = refusal(&zip(&entries), &plan(vec![]));
    assert!(matches!(error, DocumentError::Ofd(OfdError::MissingElement { element: "SignedInfo", .. })), "{error}");
}

#[test]
fn streamed_and_zip64_entries_are_copied_as_they_are() {
    let streamed = RawEntry::new("S.xml", "streamed");
    let mut descriptor = b"PK\x07\x08".to_vec();
    descriptor.extend(super::zip_builder::crc(b"streamed").to_le_bytes());
    descriptor.extend((streamed.deflated().len() as u32).to_le_bytes());
    descriptor.extend(8u32.to_le_bytes());
    let streamed = RawEntry { flags: 8, local_crc: Some(0), local_sizes: Some((0, 0)), descriptor, ..streamed };
    let zip64 = |values: &[u64]| {
        let mut extra = [1u16.to_le_bytes(), (values.len() as u16 * 8).to_le_bytes()].concat();
        values.iter().for_each(|value| extra.extend(value.to_le_bytes()));
        extra
    };
    let other_extra = [0x0a, 0, 2, 0, 7, 7];
    let large = RawEntry {
        stored: true,
        size: Some(u32::MAX),
        compressed_size: Some(u32::MAX),
        extra: [zip64(&[5, 5]), other_extra.to_vec()].concat(),
        local_extra: Some(zip64(&[5, 5])),
        ..RawEntry::new("Z.xml", "zip64")
    };
    let mut entries = vec![streamed, large];
    entries.extend([PLAIN[0], PLAIN[1]].map(|(name, text)| RawEntry::new(name, text)));
    let once = sign(&zip(&entries), &plan(vec![]), b"v");
    let twice = sign(&once, &plan(vec![]), b"w");
    for (after, count) in [(once, 1), (twice, 2)] {
        assert_all_references_hold(&after, count);
        let files = files_by_zip_crate(&after);
        for (name, contents) in [("S.xml", "streamed"), ("Z.xml", "zip64")] {
            assert!(files.contains(&(name.into(), contents.into())), "{name}");
        }
    }
}
