//! Signing: what is appended, what is left alone, what is refused.

use std::io::Cursor;

use proptest::prelude::*;

use super::{
    picture::tests::sample_png,
    testing::{self, File, Kind, VALUE},
    *,
};
use crate::{
    document::{DocumentError, Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan},
    stamp::{Edge, PageNumber, PageSelection, Placement, Stamp},
};

const KINDS: [Kind; 2] = [Kind::Table, Kind::Stream];

fn plan(placements: Vec<Placement>) -> SigningPlan {
    SigningPlan {
        placements,
        kind: SignatureKind::Sign,
        provider: Provider { name: "test".into(), version: "1".into() },
        time: "2026-11-24T06:00:00Z".parse().unwrap(),
        close: false,
        room: 100,
    }
}

fn with_picture() -> SignatureOptions {
    SignatureOptions { picture: Some(sample_png()), ..SignatureOptions::default() }
}

fn sign(bytes: &[u8], plan: &SigningPlan, options: SignatureOptions) -> Result<Vec<u8>, DocumentError> {
    let mut document = Document::open(Cursor::new(bytes.to_vec()))?;
    document.set_signature_options(options);
    let prepared = document.prepare(plan)?;
    let digest = prepared.digest();
    let mut out = Vec::new();
    prepared.embed(&VALUE, &mut out)?;
    // Every result: nothing of the source touched, and the digest that was given is the one that will be verified.
    assert!(out.starts_with(bytes));
    let mut document = Document::open(Cursor::new(out.clone()))?;
    let signatures = document.signatures()?;
    let last = signatures.last().unwrap();
    assert_eq!(last.digests.as_ref().unwrap().sm3, digest);
    assert!(last.covers_whole_file() && last.changes.is_empty());
    assert_eq!((last.contents.as_slice(), last.trailing.as_slice()), (VALUE.as_slice(), [].as_slice()));
    assert_eq!(document.ambiguities(), []);
    Ok(out)
}

fn read(bytes: &[u8]) -> Vec<PdfSignature> {
    Document::open(Cursor::new(bytes.to_vec())).unwrap().signatures().unwrap()
}

fn on_page(page: u32, x: f64, y: f64) -> Placement {
    let rect = RectMm { x, y, width: 40.0, height: 20.0 };
    Placement { page: PageNumber::new(page).unwrap(), rect, clip: None }
}

fn assert_near(found: RectMm, expected: RectMm) {
    let differences = [found.x - expected.x, found.y - expected.y, found.width - expected.width, found.height - expected.height];
    assert!(differences.iter().all(|d| d.abs() < 0.001), "{found:?} is not {expected:?}");
}

#[test]
fn several_parties_sign_without_breaking_each_other() {
    for kind in KINDS {
        let mut bytes = File::with_form(kind).bytes;
        for (page, x) in [(1, 10.0), (2, 20.0), (1, 60.0)] {
            bytes = sign(&bytes, &plan(vec![on_page(page, x, 30.0)]), with_picture()).unwrap();
        }
        let signatures = read(&bytes);
        let names: Vec<_> = signatures.iter().map(|s| s.field.as_deref().unwrap()).collect();
        assert_eq!(names, ["Signature1", "Signature2", "Signature3"]);
        assert!(signatures.iter().all(|s| s.changes.is_empty()), "{signatures:?}");
        assert_eq!(signatures[0].permitted.len(), 2);
        assert_near(signatures[1].widgets[0].rect, on_page(2, 20.0, 30.0).rect);
        assert_eq!(signatures[1].widgets[0].page, 1);
        assert_eq!(signatures[0].claimed_time, Some(plan(vec![]).time));
    }
}

/// Foreign signatures, too: the file's own field `s` was signed by hand.
#[test]
fn signing_after_others_leaves_theirs_as_they_were() {
    for kind in KINDS {
        let file = File::signed(kind, "");
        let bytes = sign(&file.bytes, &plan(vec![on_page(2, 10.0, 10.0)]), with_picture()).unwrap();
        let first = &read(&bytes)[0];
        assert_eq!(first.changes, []);
        assert_eq!(first.permitted, [Permitted::Signature { field: "Signature1".into() }]);
    }
}

#[test]
fn kind_of_cross_reference_is_kept() {
    for kind in KINDS {
        let file = File::with_form(kind);
        let out = sign(&file.bytes, &plan(vec![]), SignatureOptions::default()).unwrap();
        let appended = &out[file.bytes.len()..];
        let has_table = appended.windows(5).any(|w| w == b"\nxref");
        assert_eq!(has_table, kind == Kind::Table);
    }
}

#[test]
fn form_is_made_where_there_is_none() {
    for catalog in ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields 5 0 R>>>>"] {
        for annots in ["", "/Annots 4 0 R", "/Annots[]"] {
            let mut file = File::new(Kind::Table);
            file.update(&[
                (1, catalog),
                (2, "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>"),
                (3, &format!("<</Type/Page/Parent 2 0 R{annots}>>")),
                (4, "[]"),
                (5, "[]"),
                (15, "<<>>"),
            ]);
            let once = sign(&file.bytes, &plan(vec![on_page(1, 10.0, 10.0)]), with_picture()).unwrap();
            let twice = sign(&once, &plan(vec![]), SignatureOptions::default()).unwrap();
            let signatures = read(&twice);
            assert_eq!((signatures.len(), signatures[0].widgets.len()), (2, 1), "{catalog} {annots}");
            assert!(signatures[0].changes.is_empty(), "{:?}", signatures[0].changes);
        }
    }
}

#[test]
fn straddle_seal_is_one_field_with_a_strip_on_each_page() {
    for edge in [Edge::Left, Edge::Right] {
        let file = File::with_form(Kind::Table);
        let sizes: Vec<SizeMm> = file.open().pages().unwrap().iter().map(Page::size).collect();
        let stamp = Stamp::Straddle { edge, pages: PageSelection::All, y: 15.0 };
        let placements = stamp.place(&sizes, SizeMm { width: 40.0, height: 40.0 }, &[]).unwrap();
        let out = sign(&file.bytes, &plan(placements), with_picture()).unwrap();
        let signature = &read(&out)[0];
        assert_eq!(signature.widgets.len(), 2);
        for (widget, size) in signature.widgets.iter().zip(&sizes) {
            let x = if edge == Edge::Left { 0.0 } else { size.width - 20.0 };
            assert_near(widget.rect, RectMm { x, y: 15.0, width: 20.0, height: 40.0 });
        }
        assert_eq!(Document::open(Cursor::new(out)).unwrap().signature_fields().unwrap().len(), 2);
    }
}

#[test]
fn seal_shows_where_asked_on_pages_turned_cut_and_scaled() {
    for rotate in [0, 90, 180, 270, -90] {
        for unit in ["", "/UserUnit 2.0"] {
            let mut file = File::new(Kind::Table);
            file.update(&[
                (1, "<</Type/Catalog/Pages 2 0 R>>"),
                (2, "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[-20 -30 595 842]>>"),
                (3, &format!("<</Type/Page/Parent 2 0 R/CropBox[10 20 500 700]/Rotate {rotate}{unit}>>")),
                (15, "<<>>"),
            ]);
            let out = sign(&file.bytes, &plan(vec![on_page(1, 12.5, 33.0)]), with_picture()).unwrap();
            assert_near(read(&out)[0].widgets[0].rect, on_page(1, 12.5, 33.0).rect);
        }
    }
}

#[test]
fn prepared_field_is_signed_where_it_stands() {
    let options = SignatureOptions { field: Some("s".into()), ..with_picture() };
    let file = File::with_form(Kind::Table);
    let bytes = sign(&file.bytes, &plan(vec![]), options.clone()).unwrap();
    let signature = &read(&bytes)[0];
    assert_eq!(signature.field.as_deref(), Some("s"));
    assert_eq!(signature.widgets.len(), 1);
    let again = sign(&bytes, &plan(vec![]), options);
    assert!(matches!(again, Err(DocumentError::Pdf(SigningError::FieldTaken(name))) if name == "s"));
    let text_field = SignatureOptions { field: Some("t".into()), ..with_picture() };
    assert!(matches!(sign(&file.bytes, &plan(vec![]), text_field), Err(DocumentError::Pdf(SigningError::FieldTaken(_)))));
    let named = SignatureOptions { field: Some("\u{7532}\u{65b9}".into()), ..SignatureOptions::default() };
    let mut document = file.open();
    document.set_signature_options(named.clone());
    assert_eq!(document.prepare(&plan(vec![])).unwrap().property(), "16 0 R");
    assert_eq!(read(&sign(&file.bytes, &plan(vec![]), named).unwrap())[0].field.as_deref(), Some("\u{7532}\u{65b9}"));
}

/// A field whose author locks other fields once it is signed.
#[test]
fn lock_of_a_prepared_field_goes_into_its_signature() {
    let mut file = File::with_form(Kind::Table);
    file.update(&[(
        11,
        "<</Type/Annot/Subtype/Widget/FT/Sig/T(s)/Rect[100 100 200 200]/P 3 0 R/Lock<</Action/Include/Fields[(t)]>>>>",
    )]);
    let options = SignatureOptions { field: Some("s".into()), ..with_picture() };
    let bytes = sign(&file.bytes, &plan(vec![]), options).unwrap();
    assert_eq!(read(&bytes)[0].lock, Some(FieldLock::Include(vec!["t".into()])));
}

#[test]
fn closed_documents_take_no_signature() {
    for kind in KINDS {
        let close = SigningPlan { close: true, ..plan(vec![]) };
        let first = sign(&File::with_form(kind).bytes, &close, SignatureOptions::default()).unwrap();
        assert_eq!(read(&first)[0].doc_mdp, Some(DocMdp::NoChanges));
        let refused = sign(&first, &plan(vec![]), SignatureOptions::default());
        assert!(matches!(refused, Err(DocumentError::Closed { .. })));

        // As the second signature it cannot certify; it locks.
        let second = sign(&File::signed(kind, "").bytes, &close, SignatureOptions::default()).unwrap();
        let signatures = read(&second);
        assert!(signatures[0].changes.is_empty(), "{:?}", signatures[0].changes);
        assert_eq!((signatures[1].doc_mdp, &signatures[1].lock), (Some(DocMdp::NoChanges), &Some(FieldLock::All)));
        let refused = sign(&second, &plan(vec![]), SignatureOptions::default());
        assert!(matches!(refused, Err(DocumentError::Closed { by }) if by == "signature Signature1"));
    }
}

#[test]
fn locked_field_is_refused() {
    let lock = "/Reference[<</TransformMethod/FieldMDP/TransformParams<</Action/Include/Fields[(s)]>>>>]";
    let mut file = File::with_form(Kind::Table);
    file.sign(20, lock, &[(9, "<</Fields[10 0 R 11 0 R 21 0 R]/DA(/F 0 Tf)>>"), (21, "<</FT/Sig/T(a)/V 20 0 R/Rect[0 0 0 0]>>")]);
    let options = SignatureOptions { field: Some("s".into()), ..with_picture() };
    assert!(matches!(sign(&file.bytes, &plan(vec![]), options), Err(DocumentError::Closed { .. })));
    sign(&file.bytes, &plan(vec![]), SignatureOptions::default()).unwrap();
}

#[test]
fn what_cannot_be_signed_is_refused_with_the_reason() {
    let refusal =
        |file: &File, plan: &SigningPlan, options: SignatureOptions| sign(&file.bytes, plan, options).map(drop).unwrap_err();
    let none = SignatureOptions::default;
    let mut encrypted = File::with_form(Kind::Table);
    encrypted.update_with(&[(50, "<</Filter/Standard/V 2>>")], "/Root 1 0 R/Encrypt 50 0 R");
    assert!(matches!(refusal(&encrypted, &plan(vec![]), none()), DocumentError::Encrypted));

    let mut ambiguous = File::with_form(Kind::Table);
    ambiguous.update(&[(5, "<</Length 3>>stream\nqqqqq\nendstream")]);
    assert!(matches!(refusal(&ambiguous, &plan(vec![]), none()), DocumentError::Pdf(SigningError::Ambiguous(_))));

    let mut tail = File::with_form(Kind::Table);
    tail.put("hidden");
    assert!(matches!(
        refusal(&tail, &plan(vec![]), none()),
        DocumentError::Pdf(SigningError::Unreadable(PdfError::Syntax { .. }))
    ));

    let mut dynamic = File::with_form(Kind::Table);
    dynamic.update(&[(1, "<</Type/Catalog/Pages 2 0 R/AcroForm 9 0 R/NeedsRendering true>>")]);
    assert!(matches!(refusal(&dynamic, &plan(vec![]), none()), DocumentError::Pdf(SigningError::DynamicForm)));

    let good = File::with_form(Kind::Table);
    let asked = PageNumber::new(3).unwrap();
    assert!(matches!(
        refusal(&good, &plan(vec![on_page(3, 1.0, 1.0)]), with_picture()),
        DocumentError::PageNotFound { asked: page, pages: 2 } if page == asked
    ));
    assert!(matches!(refusal(&good, &plan(vec![on_page(1, 1.0, 1.0)]), none()), DocumentError::Pdf(SigningError::NothingToShow)));
    let dotted = SignatureOptions { field: Some("a.b".into()), ..none() };
    assert!(matches!(refusal(&good, &plan(vec![]), dotted), DocumentError::Pdf(SigningError::FieldName(_))));
    let svg = SignatureOptions { picture: Some(b"<svg/>".to_vec()), ..none() };
    assert!(matches!(
        refusal(&good, &plan(vec![on_page(1, 1.0, 1.0)]), svg),
        DocumentError::Pdf(SigningError::Picture(PictureError::Kind(_)))
    ));
    let small = SigningPlan { room: VALUE.len() - 1, ..plan(vec![]) };
    assert!(matches!(refusal(&good, &small, none()), DocumentError::Pdf(SigningError::RoomExceeded { room: 5, value: 6 })));
    let not_a_seal = SigningPlan { kind: SignatureKind::Seal(vec![1]), ..plan(vec![]) };
    assert!(matches!(refusal(&good, &not_a_seal, none()), DocumentError::Pdf(SigningError::Seal)));
}

#[test]
fn value_that_fills_the_room_exactly_fits() {
    let exact = SigningPlan { room: VALUE.len(), ..plan(vec![]) };
    sign(&File::with_form(Kind::Stream).bytes, &exact, SignatureOptions::default()).unwrap();
}

#[test]
fn words_and_filters_are_written_as_asked() {
    let options = SignatureOptions {
        filters: Some(("Gomain.GMPkiLite".into(), "GM.sm2seal".into())),
        name: Some("\u{7532}\u{65b9}".into()),
        reason: Some("a (b)".into()),
        location: Some("\u{5317}\u{4eac}".into()),
        ..SignatureOptions::default()
    };
    let signature = &read(&sign(&File::with_form(Kind::Table).bytes, &plan(vec![]), options).unwrap())[0];
    assert_eq!(signature.filter.as_deref(), Some("Gomain.GMPkiLite"));
    assert_eq!(signature.sub_filter.as_deref(), Some("GM.sm2seal"));
    assert_eq!(signature.name.as_deref(), Some("\u{7532}\u{65b9}"));
    assert_eq!(signature.reason.as_deref(), Some("a (b)"));
    assert_eq!(signature.location.as_deref(), Some("\u{5317}\u{4eac}"));
}

/// A change between two of our own signatures must be named, whoever made them.
#[test]
fn edit_between_two_signatures_is_named() {
    let first = sign(&File::with_form(Kind::Table).bytes, &plan(vec![]), SignatureOptions::default()).unwrap();
    let xref = testing::find_last(&first, b"\nxref\n") + 1;
    let mut file = File::after_table(first, xref, 100);
    file.update(&[(5, "<</Length 1>>stream\nq\nendstream")]);
    let both = sign(&file.bytes, &plan(vec![]), SignatureOptions::default()).unwrap();
    let signatures = read(&both);
    assert_eq!(signatures[0].changes[0].what, Changed::Page);
    assert_eq!(signatures[1].changes, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is signed at all is read back, with the digest that was signed, and no earlier byte has changed.
    #[test]
    fn changed_inputs_are_refused_or_signed_well(
        kind in prop::sample::select(KINDS.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = File::signed(kind, "").bytes;
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let Ok(document) = Document::open(Cursor::new(bytes.clone())) else { return Ok(()) };
        let Ok(prepared) = document.prepare(&plan(vec![])) else { return Ok(()) };
        let digest = prepared.digest();
        let mut out = Vec::new();
        prepared.embed(&VALUE, &mut out).unwrap();
        prop_assert!(out.starts_with(&bytes));
        let signatures = Document::open(Cursor::new(out)).unwrap().signatures().unwrap();
        let ours: Vec<_> = signatures.iter().filter(|s| s.digests.as_ref().is_some_and(|d| d.sm3 == digest)).collect();
        prop_assert_eq!(ours.len(), 1);
        prop_assert!(ours[0].covers_whole_file() && ours[0].changes.is_empty());
    }
}
