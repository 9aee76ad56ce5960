//! What later revisions may do to a signed file, and every attack we know of (shared `attacks.md` 61).

mod changes;

use std::io::Cursor;

use proptest::prelude::*;

use super::{
    testing::{File, Kind, SIGNED_FIELD, VALUE, find_last, signature_dictionary},
    *,
};
use crate::sm::sm3;

const KINDS: [Kind; 2] = [Kind::Table, Kind::Stream];

/// What changed after the first signature, by the changes' kinds.
fn changed(file: &File) -> Vec<Changed> {
    let mut kinds: Vec<_> = file.signatures()[0].changes.iter().map(|change| change.what).collect();
    kinds.dedup();
    kinds
}

/// Asserts that the first signature is intact but for what is permitted.
fn assert_permitted(file: &File, expected: &[Permitted]) {
    let mut document = file.open();
    let signatures = document.signatures().unwrap();
    assert_eq!(signatures[0].changes, []);
    assert_eq!(signatures[0].permitted, expected);
    assert_eq!(document.ambiguities(), []);
}

fn signature(field: &str) -> Permitted {
    Permitted::Signature { field: field.into() }
}

#[test]
fn signature_is_found_with_its_bytes() {
    for kind in KINDS {
        let file = File::signed(kind, "/M(D:20261124140000+08'00')/Name(\u{7532})/Reason(r)/Location(l)");
        let mut document = file.open();
        let signatures = document.signatures().unwrap();
        let [signature] = signatures.as_slice() else { panic!("{signatures:?}") };
        let range = signature.byte_range.unwrap();
        let gap = find_last(&file.bytes, b"/Contents<") + 9;
        assert_eq!((range.first_end, range.end, range.whole_file), (gap as u64, file.bytes.len() as u64, true));
        let signed = [&file.bytes[..gap], &file.bytes[range.second_start as usize..]].concat();
        assert_eq!(signature.digests.as_ref().unwrap().sm3, sm3(&signed));
        assert_eq!((signature.contents.as_slice(), signature.trailing.as_slice()), (VALUE.as_slice(), [].as_slice()));
        assert_eq!((signature.field.as_deref(), signature.state), (Some("s"), FieldState::Shown));
        assert_eq!(signature.claimed_time, Some("2026-11-24T06:00:00Z".parse().unwrap()));
        assert_eq!(signature.name.as_deref(), Some("\u{7532}"));
        assert_eq!((signature.revision, document.revisions().len()), (Some(1), 2));
        let mm = 25.4 / 72.0;
        assert_eq!(
            signature.widgets,
            [Widget { page: 0, rect: RectMm { x: 100.0 * mm, y: 642.0 * mm, width: 100.0 * mm, height: 100.0 * mm } }]
        );
        assert_permitted(&file, &[]);
    }
}

#[test]
fn pages_are_measured_after_cropping_and_turning() {
    let pages = File::with_form(Kind::Table).open().pages().unwrap();
    let round = |mm: f64| (mm / 25.4 * 72.0).round();
    let points = |page: &Page| [page.size().width, page.size().height].map(round);
    assert_eq!(points(&pages[0]), [595.0, 842.0]);
    assert_eq!(points(&pages[1]), [490.0, 290.0]);
    // A corner mark at the lower left of the unturned page is at the upper left of the turned one.
    let shown = pages[1].shown([10.0, 10.0, 20.0, 40.0]);
    assert_eq!([shown.x, shown.y, shown.width, shown.height].map(round), [0.0, 0.0, 30.0, 10.0]);
    for rotate in [0, 90, 180, 270] {
        let page = Page { rotate, ..pages[1] };
        let there_and_back = page.rect(page.shown([20.0, 30.0, 50.0, 80.0])).map(f64::round);
        assert_eq!(there_and_back, [20.0, 30.0, 50.0, 80.0], "{rotate}");
    }
}

/// A second party's field, visible on page 2.
fn second_signature(file: &mut File, extra: &str) {
    file.sign(
        30,
        extra,
        &[
            (9, "<</Fields[10 0 R 11 0 R 31 0 R]/DA(/F 0 Tf)/SigFlags 3>>"),
            (12, "[31 0 R]"),
            (31, "<</Type/Annot/Subtype/Widget/FT/Sig/T(b)/Rect[9 9 50 50]/P 4 0 R/V 30 0 R/AP<</N 32 0 R>>>>"),
            (32, "<</Subtype/Form/BBox[0 0 41 41]/Length 1>>stream\nq\nendstream"),
        ],
    );
}

/// An object of the signed state whose place is beyond the signed bytes (universal signature forgery by offsets).
#[test]
fn object_beyond_the_signed_bytes_is_a_shadow() {
    let mut file = File::with_form(Kind::Table);
    // Entry 6 of a further section says where the attacker will append.
    let start = file.bytes.len();
    file.update(&[(6, "<</Length 1>>stream\nq\nendstream")]);
    let right = format!("{start:010}");
    let beyond = format!("{:010}", start + 2000);
    let at = find_last(&file.bytes, right.as_bytes());
    file.bytes[at..at + 10].copy_from_slice(beyond.as_bytes());
    file.sign(20, "", &[(11, SIGNED_FIELD)]);
    assert!(file.bytes.len() < start + 2000);
    file.bytes.resize(start + 2000, b' ');
    file.put("6 0 obj\n<</Length 2>>stream\nQQ\nendstream\nendobj\n");
    file.update(&[(61, "null")]);
    assert!(changed(&file).contains(&Changed::Shadow), "{:?}", file.signatures());
}

/// A stream whose length reaches over the end of the signed bytes.
#[test]
fn stream_reaching_beyond_the_signed_bytes_is_a_shadow() {
    let mut file = File::with_form(Kind::Table);
    file.update(&[(6, "<</Length 4000>>stream\nq\nendstream")]);
    let data = find_last(&file.bytes, b"<</Length 4000>>stream\n") + 23;
    file.sign(20, "", &[(11, SIGNED_FIELD)]);
    file.bytes.resize(data + 4000, b' ');
    file.put("\nendstream\nendobj\n");
    file.update(&[(61, "null")]);
    assert_eq!(changed(&file), [Changed::Shadow]);
}

#[test]
fn later_chain_that_leaves_the_signed_revision_out_is_refused() {
    let mut file = File::signed(Kind::Table, "");
    let signed = find_last(&file.bytes, b"/Prev ");
    let base: String = file.bytes[signed + 6..].iter().take_while(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
    file.update(&[(11, SIGNED_FIELD), (20, "null")]);
    let at = find_last(&file.bytes, b"/Prev ") + 6;
    let old: Vec<u8> = file.bytes[at..].iter().copied().take_while(u8::is_ascii_digit).collect();
    let new = format!("{base:0>width$}", width = old.len());
    file.bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    // The dictionary is still reachable by an entry of the new section.
    let offset = find_last(&file.bytes, b"20 0 obj\n<</Type/Sig");
    let entry = find_last(&file.bytes, b"20 1\n") + 5;
    file.bytes[entry..entry + 10].copy_from_slice(format!("{offset:010}").as_bytes());
    assert_eq!(file.signatures()[0].byte_range, Err(ByteRangeFault::OutsideChain));
}

#[test]
fn bytes_after_the_end_are_a_change_and_white_space_is_tolerated() {
    let mut file = File::signed(Kind::Table, "");
    file.put(" \r\n");
    assert_permitted(&file, &[]);
    assert!(file.signatures()[0].covers_whole_file());
    file.put("5 0 obj\n<</Length 0>>stream\n\nendstream\nendobj\n");
    assert_eq!(changed(&file), [Changed::Bytes]);
    assert!(!file.signatures()[0].covers_whole_file());
}

#[test]
fn every_wrong_byte_range_is_refused_with_its_reason() {
    let good = File::signed(Kind::Table, "");
    let range = good.signatures()[0].byte_range.unwrap();
    let (a, b, len) = (range.first_end, range.second_start, good.bytes.len() as u64);
    let rows = [
        (format!("[0 {a} {b} {}]", len - b - 1), ByteRangeFault::EndsInside),
        (format!("[0 {a} {b} {}]", len - b - 7), ByteRangeFault::EndsInside),
        (format!("[0 {a} {b} {}]", len - b + 1), ByteRangeFault::BeyondFile),
        (format!("[0 {a} {b} {}]", i64::MAX), ByteRangeFault::BeyondFile),
        (format!("[0 {a} {b} 99999999999999999999]"), ByteRangeFault::NotIntegers),
        (format!("[1 {a} {b} {}]", len - b), ByteRangeFault::StartsLate),
        (format!("[0 {} {b} {}]", a - 1, len - b), ByteRangeFault::Gap),
        (format!("[0 {} {b} {}]", a + 1, len - b), ByteRangeFault::Gap),
        (format!("[0 {a} {} {}]", b + 1, len - b - 1), ByteRangeFault::Gap),
        (format!("[0 {a} {} {}]", b - 1, len - b + 1), ByteRangeFault::Gap),
        (format!("[0 {b} {a} {}]", len - a), ByteRangeFault::Overlap),
        (format!("[0 {a} {a} {}]", len - a), ByteRangeFault::Overlap),
        (format!("[0 -{a} {b} {}]", len - b), ByteRangeFault::Negative),
        (format!("[0 {a}]"), ByteRangeFault::NotTwoRanges),
        (format!("[0 {a} {b} 5 {} 1]", b + 9), ByteRangeFault::NotTwoRanges),
        (format!("[0 {a} {b} 12 0 R]"), ByteRangeFault::NotIntegers),
        (" 12 0 R".into(), ByteRangeFault::NotIntegers),
        (" null".into(), ByteRangeFault::Absent),
    ];
    for (text, fault) in rows {
        let mut file = good.clone();
        let at = find_last(&file.bytes, b"/ByteRange[") + 10;
        let end = at + 60;
        file.bytes[at..end].fill(b' ');
        file.bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        // A last byte of white space is no part of the revision, and may be left out.
        let expected =
            if fault == ByteRangeFault::EndsInside && text.ends_with(&format!("{}]", len - b - 1)) { None } else { Some(fault) };
        let signatures = file.signatures();
        assert_eq!(signatures.len(), 1, "{text}");
        assert_eq!(signatures[0].byte_range.err(), expected, "{text}");
    }
}

#[test]
fn gap_must_hold_only_this_dictionarys_digits() {
    // White space among the digits, another dictionary's Contents, a literal string.
    let mut spaced = File::signed(Kind::Table, "");
    let at = find_last(&spaced.bytes, b"00>") - 4;
    spaced.bytes[at..at + 2].copy_from_slice(b"  ");
    assert_eq!(spaced.signatures()[0].byte_range, Err(ByteRangeFault::Gap));

    let twice = File::signed(Kind::Table, "/Contents<ff>");
    let mut document = twice.open();
    assert_eq!(document.signatures().unwrap()[0].byte_range, Err(ByteRangeFault::Contents));
    assert!(matches!(document.ambiguities(), [Ambiguity::DuplicateKey { .. }]));

    let mut other = File::with_form(Kind::Table);
    let outer = signature_dictionary("").replace("/Contents<", "/Contents<ff>/X<</Contents<") + ">>";
    other.update(&[(11, SIGNED_FIELD), (20, &outer)]);
    other.fill_range();
    assert_eq!(other.signatures()[0].byte_range, Err(ByteRangeFault::Gap));
}

#[test]
fn bytes_after_the_first_value_are_kept() {
    let mut file = File::signed(Kind::Table, "");
    let at = find_last(&file.bytes, b"/Contents<") + 10 + 2 * VALUE.len();
    file.bytes[at..at + 8].copy_from_slice(b"05000500");
    let signature = &file.signatures()[0];
    assert_eq!((signature.contents.as_slice(), signature.trailing.as_slice()), (VALUE.as_slice(), [5, 0, 5].as_slice()));
}

#[test]
fn removed_and_orphan_signatures_are_listed() {
    let mut file = File::signed(Kind::Table, "");
    file.update(&[(11, SIGNED_FIELD.replace("/V 20 0 R", "").as_str())]);
    let signatures = file.signatures();
    assert_eq!((signatures[0].field.as_deref(), signatures[0].state), (Some("s"), FieldState::Removed));

    let mut orphan = File::with_form(Kind::Table);
    orphan.sign(20, "", &[]);
    let signatures = orphan.signatures();
    assert_eq!((signatures[0].field.as_deref(), signatures[0].state), (None, FieldState::Orphan));

    let mut overwritten = File::signed(Kind::Table, "");
    overwritten.update(&[(20, "null"), (11, "null")]);
    let signatures = overwritten.signatures();
    assert_eq!((signatures.len(), signatures[0].state), (1, FieldState::Removed));
    assert!(changed(&overwritten).contains(&Changed::Signature));
}

#[test]
fn signature_inside_its_field_is_found() {
    let mut file = File::with_form(Kind::Table);
    let field = SIGNED_FIELD.replace("20 0 R", &signature_dictionary(""));
    file.update(&[(11, &field)]);
    file.fill_range();
    assert_permitted(&file, &[]);
    assert_eq!((file.signatures()[0].field.as_deref(), file.signatures()[0].state), (Some("s"), FieldState::Shown));
    file.update(&[(11, SIGNED_FIELD.replace("/V 20 0 R", "").as_str())]);
    assert_eq!(file.signatures()[0].state, FieldState::Removed);
    assert!(changed(&file).contains(&Changed::Signature));
}

#[test]
fn ambiguous_files_are_named() {
    let mut two_fields = File::with_form(Kind::Table);
    two_fields.sign(20, "", &[(11, SIGNED_FIELD), (9, "<</Fields[10 0 R 11 0 R 21 0 R]>>"), (21, "<</FT/Sig/T(u)/V 20 0 R>>")]);
    let mut document = two_fields.open();
    document.signatures().unwrap();
    assert_eq!(document.ambiguities(), [Ambiguity::FieldTwice("u".into())]);

    let mut missing = File::signed(Kind::Table, "");
    let at = find_last(&missing.bytes, b"7 0 obj\n<</Type/Font");
    missing.bytes[at] = b'6';
    let mut document = missing.open();
    document.signatures().unwrap();
    assert_eq!(document.ambiguities(), [Ambiguity::ObjectMissing(ObjectId { number: 7, generation: 0 })]);

    let mut length = File::with_form(Kind::Table);
    length.update(&[(6, "<</Length 2>>stream\nq\n\nendstream"), (5, "<</Length 3>>stream\nqqqqq\nendstream")]);
    let mut document = length.open();
    document.signatures().unwrap();
    assert_eq!(document.ambiguities(), [Ambiguity::StreamLength(ObjectId { number: 5, generation: 0 })]);
}

#[test]
fn object_streams_and_their_doubles() {
    let build = |head: &str, body: &str, entries: &[(u32, u8, u32, u8)]| {
        let mut file = File::with_form(Kind::Stream);
        let stream = file.bytes.len() as u32;
        let data = format!("{head}{body}");
        let (n, first) = (head.split_whitespace().count() / 2, head.len());
        file.put(&format!(
            "80 0 obj\n<</Type/ObjStm/N {n}/First {first}/Length {}>>stream\n{data}\nendstream\nendobj\n",
            data.len()
        ));
        let xref = file.bytes.len();
        let prev = find_last(&file.bytes, b"startxref\n") + 10;
        let prev: String = file.bytes[prev..].iter().take_while(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
        let (mut index, mut rows) = ("80 1 ".to_owned(), vec![1]);
        rows.extend(stream.to_be_bytes());
        rows.push(0);
        for (number, kind, second, third) in entries {
            index.push_str(&format!("{number} 1 "));
            rows.push(*kind);
            rows.extend(second.to_be_bytes());
            rows.push(*third);
        }
        file.put(&format!(
            "81 0 obj\n<</Type/XRef/Size 90/Root 1 0 R/Prev {prev}/W[1 4 1]/Index[{index}]/Length {}>>stream\n",
            rows.len()
        ));
        file.bytes.extend(&rows);
        file.put(&format!("\nendstream\nendobj\nstartxref\n{xref}\n%%EOF\n"));
        file
    };
    let good = build("82 0 83 8 ", "<</A 1>>[82 0 R]", &[(82, 2, 80, 0), (83, 2, 80, 1)]);
    let mut document = good.open();
    document.signatures().unwrap();
    assert_eq!(document.ambiguities(), []);
    let view = document.newest();
    let loaded = document.load(ObjectId { number: 82, generation: 0 }, view).unwrap();
    assert_eq!(loaded.object.dict().unwrap().value("A"), &Object::Integer(1));

    let doubled = build("82 0 82 8 ", "<</A 1>><</A 2>>", &[(82, 2, 80, 0)]);
    let mut document = doubled.open();
    document.signatures().unwrap();
    assert_eq!(document.ambiguities(), [Ambiguity::DuplicateInObjectStream(82)]);

    let wrong_index = build("82 0 83 8 ", "<</A 1>>[82 0 R]", &[(82, 2, 80, 1)]);
    let mut document = wrong_index.open();
    document.signatures().unwrap();
    assert_eq!(document.ambiguities(), [Ambiguity::ObjectMissing(ObjectId { number: 82, generation: 0 })]);
}

/// A stream of an older state that is replaced takes its objects along, though no entry of theirs changed.
#[test]
fn replaced_object_stream_is_a_change() {
    let mut file = File::with_form(Kind::Stream);
    let stream = "<</Type/ObjStm/N 1/First 5/Length 16>>stream\n90 0 (first   1)\nendstream";
    let at = file.bytes.len() as u32;
    file.put(&format!("80 0 obj\n{stream}\nendobj\n"));
    let xref = file.bytes.len();
    let prev = find_last(&file.bytes, b"startxref\n") + 10;
    let prev: String = file.bytes[prev..].iter().take_while(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
    let rows = [&[1], at.to_be_bytes().as_slice(), &[0, 2, 0, 0, 0, 80, 0]].concat();
    file.put(&format!(
        "81 0 obj\n<</Type/XRef/Size 91/Root 1 0 R/Prev {prev}/W[1 4 1]/Index[80 1 90 1]/Length {}>>stream\n",
        rows.len()
    ));
    file.bytes.extend(&rows);
    file.put(&format!("\nendstream\nendobj\nstartxref\n{xref}\n%%EOF\n"));
    let mut signed = File::after(file.bytes, xref, 91);
    signed.sign(20, "", &[(11, SIGNED_FIELD)]);
    assert_permitted(&signed, &[]);
    signed.update(&[(80, &stream.replace("first", "other"))]);
    assert!(!changed(&signed).is_empty());
}

#[test]
fn hybrid_section_that_disagrees_is_ambiguous() {
    let build = |table_at: Option<usize>| {
        let mut file = File::with_form(Kind::Table);
        let at = file.bytes.len();
        file.put("60 0 obj\n(stream)\nendobj\n");
        let other = file.bytes.len();
        file.put("60 0 obj\n(table)\nendobj\n");
        let stream = file.bytes.len();
        let mut rows = vec![1];
        rows.extend((at as u32).to_be_bytes());
        rows.push(0);
        file.put("61 0 obj\n<</Type/XRef/Size 62/Root 1 0 R/W[1 4 1]/Index[60 1]/Length 6>>stream\n");
        file.bytes.extend(rows);
        file.put("\nendstream\nendobj\n");
        let xref = file.bytes.len();
        let prev = find_last(&file.bytes, b"startxref\n") + 10;
        let prev: String = file.bytes[prev..].iter().take_while(|b| b.is_ascii_digit()).map(|b| *b as char).collect();
        let entry = match table_at {
            Some(0) => "60 1\n0000000000 00000 f \n".to_owned(),
            Some(1) => format!("60 1\n{at:010} 00000 n \n"),
            Some(_) => format!("60 1\n{other:010} 00000 n \n"),
            None => String::new(),
        };
        file.put(&format!(
            "xref\n{entry}trailer\n<</Size 62/Root 1 0 R/Prev {prev}/XRefStm {stream}>>\nstartxref\n{xref}\n%%EOF\n"
        ));
        file.open()
    };
    for agreeing in [None, Some(0), Some(1)] {
        let mut document = build(agreeing);
        assert_eq!(document.ambiguities(), [], "{agreeing:?}");
        let view = document.newest();
        let loaded = document.load(ObjectId { number: 60, generation: 0 }, view).unwrap();
        assert_eq!(loaded.object.string(), Some(b"stream".as_slice()));
    }
    assert_eq!(build(Some(2)).ambiguities(), [Ambiguity::TwoPlaces(60)]);
}

#[test]
fn what_is_no_pdf_or_has_a_broken_chain_is_refused() {
    assert!(matches!(Document::open(Cursor::new(b"hello".to_vec())), Err(PdfError::NotPdf)));
    assert!(matches!(Document::open(Cursor::new(b"%PDF-1.4\n".to_vec())), Err(PdfError::Syntax { .. })));
    let mut circle = File::with_form(Kind::Table);
    let start = circle.bytes.len();
    circle.put(&format!("xref\n0 0\ntrailer\n<</Root 1 0 R/Prev {start}>>\nstartxref\n{start}\n%%EOF"));
    assert!(matches!(Document::open(Cursor::new(circle.bytes)), Err(PdfError::Syntax { .. })));
    let many = format!("%PDF-1.4\nxref\n0 4000000000\n{}", "0000000001 00000 n \n".repeat(1000));
    let many = format!("{many}startxref\n9\n%%EOF");
    assert!(Document::open(Cursor::new(many.into_bytes())).is_err());
}

/// Each a revision of its own (shared `attacks.md` 64).
#[test]
fn a_thousand_signatures_are_judged() {
    let mut file = File::with_form(Kind::Table);
    let mut fields = "10 0 R 11 0 R".to_owned();
    for i in 0..1000u32 {
        let (value, field) = (100 + 2 * i, 101 + 2 * i);
        fields.push_str(&format!(" {field} 0 R"));
        file.sign(
            value,
            "",
            &[
                (9, &format!("<</Fields[{fields}]/DA(/F 0 Tf)>>")),
                (field, &format!("<</FT/Sig/T(f{i})/V {value} 0 R/Type/Annot/Subtype/Widget/Rect[0 0 0 0]>>")),
            ],
        );
    }
    file.update(&[(5, "<</Length 1>>stream\nq\nendstream")]);
    let signatures = file.signatures();
    assert_eq!(signatures.len(), 1000);
    assert!(signatures.iter().all(|s| s.byte_range.is_ok() && s.changes.len() == 1 && s.changes[0].what == Changed::Page));
    assert_eq!((signatures[0].permitted.len(), signatures[999].permitted.len()), (MAX_LISTED, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever bytes change, reading ends and does not panic; and a change inside the signed bytes never leaves both the digest and
    /// the verdict as they were.
    #[test]
    fn changed_bytes_never_panic_and_never_pass(
        kind in prop::sample::select(KINDS.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut good = File::signed(kind, "/M(D:20261124140000+08'00')");
        second_signature(&mut good, "");
        let mut bytes = good.bytes.clone();
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let Ok(mut document) = Document::open(Cursor::new(bytes.clone())) else { return Ok(()) };
        let _ = document.pages();
        let Ok(signatures) = document.signatures() else { return Ok(()) };
        let before = good.signatures();
        for signature in &signatures {
            let Some(old) = before.iter().find(|old| old.field == signature.field) else { continue };
            let Ok(range) = signature.byte_range else { continue };
            let differs = (0..bytes.len() as u64)
                .filter(|at| *at < range.first_end || (range.second_start..range.end).contains(at))
                .any(|at| bytes[at as usize] != good.bytes[at as usize]);
            prop_assert!(!differs || signature.digests != old.digests);
        }
    }

    #[test]
    fn cut_files_never_panic(kind in prop::sample::select(KINDS.to_vec()), len in any::<prop::sample::Index>()) {
        let mut bytes = File::signed(kind, "").bytes;
        bytes.truncate(len.index(bytes.len()));
        if let Ok(mut document) = Document::open(Cursor::new(bytes)) {
            let _ = document.signatures();
        }
    }
}
