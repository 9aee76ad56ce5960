//! Packages that two readers could read differently, or that cost more than they are worth (shared `attacks.md` 54, 56, 64).

use std::io::Cursor;

use super::super::entry_reader::EntryReader;
use super::super::{NameFault, Ofd, OfdError, Package, PackagePath, XmlFault};
use super::zip_builder::{Frame, RawEntry, crc, zip, zip_in};

fn open(bytes: Vec<u8>) -> Result<Package<Cursor<Vec<u8>>>, OfdError> {
    Package::open(Cursor::new(bytes))
}

fn path(path: &str) -> PackagePath {
    PackagePath::from_entry_name(path)
}

fn refused(entry: RawEntry) -> OfdError {
    open(zip(&[RawEntry::new("a.xml", "first"), entry])).err().unwrap()
}

/// Opens, reads the entry `b` to its end, and gives why that is refused.
fn damaged(entry: RawEntry) -> OfdError {
    let name = String::from_utf8(entry.name.clone()).unwrap();
    let mut package = open(zip(&[entry])).unwrap();
    let error = package.read(&path(&name), 1 << 20).unwrap_err();
    assert_eq!(package.digest(&path(&name)).unwrap_err().to_string(), error.to_string());
    assert_eq!(package.digest(&path(&name)).unwrap_err().to_string(), error.to_string(), "the second time");
    error
}

fn flags(flags: u16) -> RawEntry {
    RawEntry { flags, ..RawEntry::new("b", "data") }
}

#[test]
fn an_honest_package_opens_and_reads() {
    let entries = [
        RawEntry::new("OFD.xml", "deflated"),
        RawEntry { stored: true, ..RawEntry::new("Doc_0/a b/文.xml", "stored") },
        RawEntry { stored: true, ..RawEntry::new("Doc_0/", "") },
    ];
    let mut package = open(zip_in(&entries, &Frame { comment: b"hello".into(), ..Frame::default() })).unwrap();
    assert_eq!(package.files().map(PackagePath::as_str).collect::<Vec<_>>(), ["/OFD.xml", "/Doc_0/a b/文.xml"]);
    assert_eq!(package.read(&path("OFD.xml"), 100).unwrap(), b"deflated");
    assert_eq!(package.read(&path("Doc_0/a b/文.xml"), 100).unwrap(), b"stored");
    assert_eq!(package.digest(&path("OFD.xml")).unwrap(), crate::sm::sm3(b"deflated"));
    assert!(matches!(package.read(&path("OFD.xml"), 7), Err(OfdError::Limit { limit: 7, .. })));
    assert!(matches!(package.read(&path("Doc_0"), 7), Err(OfdError::MissingFile { .. })));
}

#[test]
fn the_names_of_an_unpacking_attack_are_refused() {
    for (name, fault) in [
        ("../evil", NameFault::Traversal),
        ("a/../../evil", NameFault::Traversal),
        ("a/./b", NameFault::Traversal),
        ("a\\..\\b", NameFault::Traversal),
        ("/etc/passwd", NameFault::Absolute),
        ("\\\\server\\share", NameFault::Absolute),
        ("C:\\x", NameFault::Absolute),
        ("c:x", NameFault::Absolute),
        ("file://x", NameFault::Absolute),
        ("a//b", NameFault::EmptyPart),
        ("", NameFault::EmptyPart),
        ("a\0.xml", NameFault::ControlCharacter),
        ("a\nb", NameFault::ControlCharacter),
    ] {
        let error = refused(RawEntry::new(name, "x"));
        assert!(matches!(error, OfdError::Name { fault: found, .. } if found == fault), "{name:?}: {error}");
    }
    let long = refused(RawEntry::new("n".repeat(513), "x"));
    assert!(matches!(long, OfdError::Limit { what: "bytes of name", .. }), "{long}");
    let neither = refused(RawEntry::new(b"\xff\xff", "x"));
    assert!(matches!(neither, OfdError::Name { fault: NameFault::Encoding, .. }), "{neither}");
    let flagged = refused(RawEntry { flags: 1 << 11, ..RawEntry::new(b"\xce\xc4", "x") });
    assert!(matches!(flagged, OfdError::Name { fault: NameFault::Encoding, .. }), "{flagged}");
}

#[test]
fn duplicate_names_and_case_twins_are_refused() {
    for twin in ["a.xml", "A.XML", "a.Xml"] {
        let error = refused(RawEntry::new(twin, "second"));
        assert!(matches!(&error, OfdError::DuplicateName { twin, .. } if twin == "a.xml"), "{twin}: {error}");
    }
    let slashes = open(zip(&[RawEntry::new("d/a", "1"), RawEntry::new("d\\a", "2")])).err().unwrap();
    assert!(matches!(slashes, OfdError::DuplicateName { .. }), "{slashes}");
    let directory = open(zip(&[RawEntry::new("d", "1"), RawEntry { stored: true, ..RawEntry::new("D/", "") }])).err().unwrap();
    assert!(matches!(directory, OfdError::DuplicateName { .. }), "{directory}");
}

#[test]
fn odd_names_are_tolerated_by_name() {
    let mut package = open(zip(&[
        RawEntry::new("Doc_0\\a.xml", "1"),
        RawEntry::new("文.xml", "2"),
        RawEntry::new(b"\xba\xcf\xcd\xac.xml", "3"), // 合同 in GBK
        RawEntry { flags: 1 << 11, ..RawEntry::new("图.xml", "4") },
    ]))
    .unwrap();
    let tolerances: Vec<String> = package.tolerances().map(ToString::to_string).collect();
    assert_eq!(
        tolerances,
        ["/Doc_0/a.xml: ZIP name with backslashes", "/合同.xml: ZIP name in GBK", "/文.xml: ZIP name in UTF-8 without its flag"]
    );
    assert_eq!(package.find(&path("doc_0/A.xml")), Some(path("Doc_0/a.xml")));
    assert!(package.tolerances().any(|tolerance| tolerance.to_string().contains("differs in case")));
    assert_eq!(package.read(&path("合同.xml"), 10).unwrap(), b"3");
}

#[test]
fn what_is_no_plain_file_is_refused() {
    assert!(matches!(refused(flags(1)), OfdError::EncryptedEntry { name } if name == "b"));
    assert!(matches!(refused(flags(1 << 6)), OfdError::EncryptedEntry { .. }));
    assert!(matches!(refused(flags(1 << 13)), OfdError::EncryptedEntry { .. }));
    assert!(matches!(refused(flags(1 << 5)), OfdError::EntryDamaged { .. }));
    for method in [1, 9, 12, 14, 93, 99] {
        let error = refused(RawEntry { method: Some(method), ..RawEntry::new("b", "data") });
        assert!(matches!(error, OfdError::Method { method: found, .. } if found == method));
    }
    for mode in [0o120_777, 0o010_644, 0o060_644, 0o140_644, 0o040_755] {
        let error = refused(RawEntry { mode, ..RawEntry::new("b", "/etc/passwd") });
        assert!(matches!(error, OfdError::SpecialFile { .. }), "{mode:o}");
    }
    assert!(open(zip(&[RawEntry { mode: 0o100_644, ..RawEntry::new("b", "x") }])).is_ok());
    assert!(matches!(refused(RawEntry { stored: true, ..RawEntry::new("d/", "hidden") }), OfdError::EntryDamaged { .. }));
}

#[test]
fn a_header_that_disagrees_with_the_directory_is_refused() {
    let b = || RawEntry::new("b.xml", "data");
    for (field, entry) in [
        ("name", RawEntry { local_name: Some(b"c.xml".into()), ..b() }),
        ("name", RawEntry { local_name: Some(b"longer.xml".into()), ..b() }),
        ("method", RawEntry { local_method: Some(0), ..b() }),
        ("CRC", RawEntry { local_crc: Some(1), ..b() }),
        ("size", RawEntry { local_sizes: Some((6, 400)), ..b() }),
        ("size", RawEntry { local_sizes: Some((0, 0)), ..b() }),
        ("flags", RawEntry { local_flags: Some(1), ..b() }),
        ("flags", RawEntry { local_flags: Some(8), ..b() }),
        ("flags", RawEntry { local_flags: Some(1 << 11), ..RawEntry::new("文", "data") }),
        ("signature", RawEntry { offset: Some(41), gap: vec![0; 40], ..b() }),
    ] {
        let error = refused(entry);
        let is_expected = matches!(error, OfdError::HeaderMismatch { field: found, .. } if found == field)
            || (field == "signature" && matches!(error, OfdError::StrayBytes { .. } | OfdError::OverlappingEntry { .. }));
        assert!(is_expected, "{field}: {error}");
    }
    // The UTF-8 flag of an ASCII name says nothing; Suwell sets it in one place only.
    assert!(open(zip(&[RawEntry { local_flags: Some(1 << 11), ..b() }])).is_ok());
}

#[test]
fn an_info_zip_name_that_differs_is_refused() {
    let field = |name: &str| {
        let mut extra = 0x7075u16.to_le_bytes().to_vec();
        extra.extend((name.len() as u16 + 5).to_le_bytes());
        extra.push(1);
        extra.extend(crc(b"b.xml").to_le_bytes());
        extra.extend(name.as_bytes());
        extra
    };
    assert!(open(zip(&[RawEntry { extra: field("b.xml"), ..RawEntry::new("b.xml", "x") }])).is_ok());
    for entry in [
        RawEntry { extra: field("c.xml"), ..RawEntry::new("b.xml", "x") },
        RawEntry { local_extra: Some(field("c.xml")), ..RawEntry::new("b.xml", "x") },
    ] {
        let error = refused(entry);
        assert!(matches!(error, OfdError::HeaderMismatch { field: "Unicode name", .. }), "{error}");
    }
}

fn descriptor(entry: &RawEntry, signature: bool, long: bool) -> Vec<u8> {
    let mut out = if signature { b"PK\x07\x08".to_vec() } else { Vec::new() };
    out.extend(crc(&entry.data).to_le_bytes());
    for size in [entry.deflated().len(), entry.data.len()] {
        if long { out.extend((size as u64).to_le_bytes()) } else { out.extend((size as u32).to_le_bytes()) }
    }
    out
}

#[test]
fn data_descriptors_are_read_in_their_four_forms_and_must_be_true() {
    let streamed = RawEntry { flags: 8, local_crc: Some(0), local_sizes: Some((0, 0)), ..RawEntry::new("s.xml", "streamed") };
    for (signature, long) in [(true, false), (false, false), (true, true), (false, true)] {
        let descriptor = descriptor(&streamed, signature, long);
        let entry = RawEntry { descriptor: descriptor.clone(), ..streamed.clone() };
        let mut package = open(zip(&[entry.clone(), RawEntry::new("z", "z")])).unwrap();
        assert_eq!(package.read(&path("s.xml"), 100).unwrap(), b"streamed");
        for changed in 0..descriptor.len() {
            let mut lie = entry.clone();
            lie.descriptor[changed] ^= 1;
            let error = open(zip(&[lie])).err().unwrap();
            assert!(matches!(error, OfdError::HeaderMismatch { field: "data descriptor", .. }), "{changed}: {error}");
        }
    }
    let without = open(zip(&[streamed])).err().unwrap();
    assert!(matches!(without, OfdError::HeaderMismatch { field: "data descriptor", .. }), "{without}");
}

#[test]
fn bytes_outside_entries_are_refused() {
    let entries = [RawEntry::new("a", "1"), RawEntry::new("b", "2")];
    let stray = |frame: Frame| match open(zip_in(&entries, &frame)).err().unwrap() {
        OfdError::StrayBytes { offset, length } => (offset, length),
        other => panic!("{other}"),
    };
    let whole = zip(&entries).len() as u64;
    assert_eq!(stray(Frame { prefix: b"MZ stub".into(), ..Frame::default() }), (0, 7));
    assert_eq!(stray(Frame { suffix: b"tail".into(), ..Frame::default() }), (whole, 4));
    assert_eq!(stray(Frame { before_end: b"between".into(), ..Frame::default() }), (whole - 22, 7));
    let gap = open(zip(&[RawEntry { gap: b"hidden".into(), ..entries[0].clone() }, entries[1].clone()])).err().unwrap();
    assert!(matches!(gap, OfdError::StrayBytes { length: 6, .. }), "{gap}");
    let last = open(zip(&[entries[0].clone(), RawEntry { gap: b"hidden".into(), ..entries[1].clone() }])).err().unwrap();
    assert!(matches!(last, OfdError::StrayBytes { length: 6, .. }), "{last}");
    // Two packages one behind the other: each reader that searches from its end finds its own.
    let twice = [zip(&entries), zip(&entries)].concat();
    assert!(open(twice).is_err());
    // A second end record inside the comment of the first.
    let inner = zip(&[]);
    let error = open(zip_in(&entries, &Frame { comment: inner, ..Frame::default() })).err().unwrap();
    assert!(matches!(error, OfdError::StrayBytes { .. } | OfdError::DirectoryDamaged { .. }), "{error}");
}

#[test]
fn overlapping_entries_are_refused() {
    // Both records point to the first entry.
    let twice = open(zip(&[RawEntry::new("a", "1"), RawEntry { offset: Some(0), ..RawEntry::new("b", "2") }])).err().unwrap();
    assert!(matches!(twice, OfdError::OverlappingEntry { .. }), "{twice}");
    // The first claims the bytes of the second as well: a quoted bomb.
    let second = zip(&[RawEntry { stored: true, ..RawEntry::new("b", "22") }]);
    let size = 1 + 30 + 1 + 2;
    let first = RawEntry { stored: true, size: Some(size), compressed_size: Some(size), ..RawEntry::new("a", "1") };
    let error = open(zip(&[first, RawEntry { stored: true, ..RawEntry::new("b", "22") }])).err().unwrap();
    assert!(matches!(error, OfdError::OverlappingEntry { .. }), "{error} {}", second.len());
}

#[test]
fn a_directory_that_lies_is_refused() {
    let entries = [RawEntry::new("a", "1"), RawEntry::new("b", "2")];
    for frame in [
        Frame { count: Some(1), ..Frame::default() },
        Frame { count: Some(3), ..Frame::default() },
        Frame { directory_size: Some(10), ..Frame::default() },
        Frame { directory_size: Some(u32::MAX), ..Frame::default() },
        Frame { directory_offset: Some(0), ..Frame::default() },
        Frame { directory_offset: Some(u32::MAX), ..Frame::default() },
        Frame { zip64: Some([Some(1), None, None]), ..Frame::default() },
        Frame { zip64: Some([None, Some(1), None]), ..Frame::default() },
        Frame { zip64: Some([None, None, Some(1)]), ..Frame::default() },
        Frame { zip64: Some([Some(u64::MAX), None, None]), count: Some(u16::MAX), ..Frame::default() },
        Frame { zip64: Some([None, Some(u64::MAX), None]), directory_size: Some(u32::MAX), ..Frame::default() },
        Frame { zip64: Some([None, None, Some(u64::MAX)]), directory_offset: Some(u32::MAX), ..Frame::default() },
    ] {
        assert!(open(zip_in(&entries, &frame)).is_err());
    }
    let honest = Frame { zip64: Some([None; 3]), count: Some(u16::MAX), directory_size: Some(u32::MAX), ..Frame::default() };
    assert_eq!(open(zip_in(&entries, &honest)).unwrap().files().count(), 2);
    let many = open(zip_in(&entries, &Frame { count: Some(u16::MAX), ..Frame::default() })).err().unwrap();
    assert!(matches!(many, OfdError::Limit { what: "entries", .. }), "{many}");
    assert!(matches!(open(b"not a zip at all".to_vec()).err().unwrap(), OfdError::NotAPackage));
    assert!(matches!(open(Vec::new()).err().unwrap(), OfdError::NotAPackage));
}

#[test]
fn zip64_sizes_are_read_and_must_agree() {
    let field = |values: &[u64]| {
        let mut extra = 1u16.to_le_bytes().to_vec();
        extra.extend((values.len() as u16 * 8).to_le_bytes());
        values.iter().for_each(|value| extra.extend(value.to_le_bytes()));
        extra
    };
    let plain = RawEntry { stored: true, ..RawEntry::new("b", "data") };
    let saturated = RawEntry { local_sizes: Some((u32::MAX, u32::MAX)), ..plain.clone() };
    // As .NET writes it: only in the entry's own header.
    let dot_net = RawEntry { local_extra: Some(field(&[4, 4])), ..saturated.clone() };
    assert_eq!(open(zip(&[dot_net])).unwrap().read(&path("b"), 10).unwrap(), b"data");
    let both = RawEntry {
        size: Some(u32::MAX),
        compressed_size: Some(u32::MAX),
        offset: Some(u32::MAX),
        extra: field(&[4, 4, 0]),
        local_extra: Some(field(&[4, 4])),
        ..plain.clone()
    };
    assert_eq!(open(zip(&[both])).unwrap().read(&path("b"), 10).unwrap(), b"data");
    for lie in [
        RawEntry { local_extra: Some(field(&[5, 4])), ..saturated.clone() },
        RawEntry { local_extra: Some(field(&[4])), ..saturated.clone() },
        RawEntry { local_extra: Some(field(&[4, 4, 0, 0])), ..saturated.clone() },
        RawEntry { local_extra: Some([field(&[4, 4]), field(&[5, 5])].concat()), ..saturated.clone() },
        saturated,
        RawEntry { extra: field(&[400, 4]), ..plain.clone() },
        RawEntry { extra: vec![1, 0, 9, 0, 0], ..plain },
    ] {
        assert!(open(zip(&[lie])).is_err());
    }
}

#[test]
fn contents_that_are_not_what_the_headers_say_are_refused_when_read() {
    let b = || RawEntry::new("b", "some data that deflates");
    let cut = b().deflated()[..8].to_vec();
    let longer = [b().deflated(), b"hidden".to_vec()].concat();
    for entry in [
        RawEntry { crc: Some(1), ..b() },
        RawEntry { size: Some(5), ..b() },
        RawEntry { size: Some(500), ..b() },
        RawEntry { compressed: Some(cut), ..b() },
        RawEntry { compressed: Some(longer), ..b() },
        RawEntry { compressed: Some(b"\xff\xff\xff\xff".into()), ..b() },
        RawEntry { compressed: Some(Vec::new()), ..b() },
    ] {
        let error = damaged(entry);
        assert!(matches!(&error, OfdError::EntryDamaged { name, .. } if name == "b"), "{error}");
    }
}

#[test]
fn bombs_are_refused_by_their_declared_size_and_cannot_exceed_it() {
    let zeros = vec![0; 70 << 20];
    let bomb = RawEntry::new("bomb", &zeros);
    let error = open(zip(std::slice::from_ref(&bomb))).err().unwrap();
    assert!(matches!(error, OfdError::Limit { what: "times its size when inflated", .. }), "{error}");
    let liar = RawEntry { size: Some(1000), ..bomb };
    let mut package = open(zip(&[liar])).unwrap();
    let error = package.read(&path("bomb"), 1 << 30).unwrap_err();
    assert!(matches!(error, OfdError::EntryDamaged { what: "it is longer than declared", .. }), "{error}");
    let declared = RawEntry { size: Some((1 << 30) + 1), ..RawEntry::new("big", "x") };
    assert!(matches!(open(zip(&[declared])).err().unwrap(), OfdError::Limit { what: "inflated bytes", .. }));
    let gigabyte = |name: &str| RawEntry { size: Some(1 << 30), ..RawEntry::new(name, "x") };
    let error = open(zip(&[gigabyte("1"), gigabyte("2"), gigabyte("3")])).err().unwrap();
    assert!(matches!(error, OfdError::Limit { what: "inflated bytes", .. }), "{error}");
}

#[test]
fn a_reader_keeps_no_more_than_it_was_asked_for() {
    let entry = RawEntry::new("b", vec![7; 1 << 20]);
    let bytes = zip(&[entry]);
    let mut source = Cursor::new(bytes);
    let directory = super::super::zip_read::Directory::read(&mut source).unwrap();
    let mut reader = EntryReader::new(&mut source, &directory.entries[0]).unwrap();
    let mut some = [0; 10];
    std::io::Read::read_exact(&mut reader, &mut some).unwrap();
    assert_eq!(some, [7; 10]);
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut rest).unwrap();
    assert_eq!(rest.len(), (1 << 20) - 10);
}

/// What OFD.xml with this text gives.
fn entry_file(xml: impl AsRef<[u8]>) -> Result<(), OfdError> {
    Ofd::open(Cursor::new(zip(&[RawEntry::new("OFD.xml", xml)]))).map(drop)
}

fn xml_fault(xml: impl AsRef<[u8]>) -> XmlFault {
    match entry_file(xml).unwrap_err() {
        OfdError::Xml { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

const BODY: &str = "<DocBody><DocRoot>Doc_0/Document.xml</DocRoot></DocBody>";

#[test]
fn entities_and_document_types_are_refused() {
    let laughs = r#"<!DOCTYPE OFD [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]><OFD>&b;</OFD>"#;
    assert_eq!(xml_fault(laughs), XmlFault::Doctype);
    let external = r#"<?xml version="1.0"?><!DOCTYPE OFD SYSTEM "file:///etc/passwd"><OFD/>"#;
    assert_eq!(xml_fault(external), XmlFault::Doctype);
    assert_eq!(xml_fault(format!("<OFD>&xxe;{BODY}</OFD>")), XmlFault::Entity("xxe".into()));
    assert!(matches!(xml_fault(format!("<OFD a='&xxe;'>{BODY}</OFD>")), XmlFault::Malformed { .. }));
    assert!(matches!(xml_fault(format!("<OFD>&#0;{BODY}</OFD>")), XmlFault::Entity(_)));
    assert!(entry_file(format!("<OFD>&amp;&#x4e2d;{BODY}</OFD>")).is_ok());
}

#[test]
fn deep_wide_and_huge_xml_is_refused() {
    let deep = format!("<OFD>{}{}</OFD>", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert!(matches!(entry_file(deep), Err(OfdError::Limit { what: "nested elements", .. })));
    let wide = format!("<OFD>{}</OFD>", "<a/>".repeat(200_000));
    assert!(matches!(entry_file(wide), Err(OfdError::Limit { what: "elements and attributes", .. })));
    let attributes: String = (0..65).map(|n| format!(" a{n}=''")).collect();
    assert!(matches!(entry_file(format!("<OFD{attributes}/>")), Err(OfdError::Limit { what: "attributes of one element", .. })));
    let text = format!("<OFD>{}</OFD>", "x".repeat((1 << 20) + 1));
    assert!(matches!(entry_file(text), Err(OfdError::Limit { what: "bytes of one text", .. })));
    let huge = format!("<OFD>{}</OFD>", "<!-- -->".repeat(3 << 20));
    assert!(matches!(entry_file(huge), Err(OfdError::Limit { what: "bytes", .. })));
    // Three million references to one character: linear, not quadratic.
    let entities = format!("<OFD>{}{BODY}</OFD>", "&amp;".repeat(1 << 20));
    assert!(entry_file(entities).is_ok());
}

#[test]
fn what_two_xml_readers_would_read_differently_is_refused() {
    for xml in
        ["", "<OFD>", "<OFD></ofd>", "<OFD/><OFD/>", "<OFD/>text", "text<OFD/>", "<x:OFD/>", "<OFD a='1' a='2'/>", "<OFD a=1/>"]
    {
        assert!(matches!(xml_fault(xml), XmlFault::Malformed { .. }), "{xml}");
    }
    assert_eq!(xml_fault("<Document/>"), XmlFault::Root("Document".into()));
    let twice = "<OFD><DocBody><DocRoot>/a.xml</DocRoot><DocRoot>/b.xml</DocRoot></DocBody></OFD>";
    assert_eq!(xml_fault(twice), XmlFault::DuplicateElement("DocRoot"));
    // Elements of another namespace are not there.
    let foreign = format!("<OFD xmlns:x='http://example.org'><x:DocBody><DocRoot>/x.xml</DocRoot></x:DocBody>{BODY}</OFD>");
    let ofd = Ofd::open(Cursor::new(zip(&[RawEntry::new("OFD.xml", foreign)]))).unwrap();
    assert_eq!(ofd.single_body().unwrap().root.as_str(), "/Doc_0/Document.xml");
    assert!(matches!(
        entry_file("<OFD xmlns='http://example.org'/>"),
        Err(OfdError::Xml { fault: XmlFault::Malformed { .. }, .. })
    ));
    assert!(matches!(entry_file("<OFD/>"), Err(OfdError::MissingElement { element: "DocBody", .. })));
}

#[test]
fn encodings_are_read_by_declaration_and_must_be_what_they_say() {
    let title = |bytes: Vec<u8>| {
        Ofd::open(Cursor::new(zip(&[RawEntry::new("OFD.xml", bytes)])))
            .map(|ofd| (ofd.single_body().unwrap().title, ofd.package.tolerances().map(ToString::to_string).collect::<Vec<_>>()))
    };
    let xml = |encoding: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"{encoding}\"?><o:OFD xmlns:o=\"http://www.ofdspec.org/2016\"><o:DocBody><o:DocInfo><o:Title>合同</o:Title></o:DocInfo><o:DocRoot>a.xml</o:DocRoot></o:DocBody></o:OFD>"
        )
    };
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let utf16 = |text: &str, bom: bool| {
        let text = if bom { format!("\u{feff}{text}") } else { text.to_owned() };
        text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let read = |bytes| title(bytes).unwrap();
    let contract = Some("合同".to_owned());
    assert_eq!(read(xml("UTF-8").into_bytes()), (contract.clone(), vec![]));
    assert_eq!(read(format!("\u{feff}{}", xml("utf-8")).into_bytes()), (contract.clone(), vec![]));
    assert_eq!(read(gbk(&xml("GBK"))), (contract.clone(), vec!["/OFD.xml: XML in GBK".into()]));
    assert_eq!(read(gbk(&xml("gb2312"))), (contract.clone(), vec!["/OFD.xml: XML in GBK".into()]));
    assert_eq!(read(utf16(&xml("UTF-16"), true)), (contract.clone(), vec!["/OFD.xml: XML in UTF-16LE".into()]));
    assert_eq!(read(utf16(&xml("UTF-16"), false)), (contract, vec!["/OFD.xml: XML in UTF-16LE".into()]));
    for lie in [
        gbk(&xml("UTF-8")),
        xml("UTF-16").into_bytes(),
        utf16(&xml("UTF-8"), true),
        format!("\u{feff}{}", xml("GBK")).into_bytes(),
        xml("UTF-7").into_bytes(),
        xml("IBM037").into_bytes(),
        xml("ISO-8859-1").into_bytes(),
    ] {
        assert!(matches!(title(lie), Err(OfdError::Xml { fault: XmlFault::Encoding(_), .. })));
    }
}

#[test]
fn locations_that_leave_the_package_are_refused() {
    for location in ["../x.xml", "/../x.xml", "file:///etc/passwd", "C:\\x.xml"] {
        let error = entry_file(format!("<OFD><DocBody><DocRoot>{location}</DocRoot></DocBody></OFD>")).unwrap_err();
        assert!(matches!(error, OfdError::Location { .. }), "{location}: {error}");
    }
    let backslash = "<OFD><DocBody><DocRoot>Doc_0\\Document.xml</DocRoot></DocBody></OFD>";
    let ofd = Ofd::open(Cursor::new(zip(&[RawEntry::new("OFD.xml", backslash)]))).unwrap();
    assert_eq!(ofd.single_body().unwrap().root.as_str(), "/Doc_0/Document.xml");
    assert!(ofd.package.tolerances().any(|tolerance| tolerance.to_string() == "/OFD.xml: path with backslashes"));
}

#[test]
fn a_package_without_ofd_xml_is_no_ofd() {
    assert!(matches!(
        Ofd::open(Cursor::new(zip(&[RawEntry::new("word/document.xml", "x")]))).err().unwrap(),
        OfdError::NoEntryFile
    ));
}
