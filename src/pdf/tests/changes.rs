//! What later revisions may change, and what they may not.

use super::*;

#[test]
fn further_signatures_are_no_change() {
    for kind in KINDS {
        let mut file = File::signed(kind, "");
        second_signature(&mut file, "");
        assert_permitted(&file, &[signature("b")]);
        let signatures = file.signatures();
        assert!(!signatures[0].covers_whole_file() && signatures[1].covers_whole_file());
        assert_eq!(signatures[1].permitted, []);
        assert_eq!(signatures[1].widgets[0].page, 1);
    }
}

#[test]
fn prepared_field_may_be_signed_by_the_other_party() {
    let mut file = File::with_form(Kind::Table);
    second_signature(&mut file, "");
    file.sign(20, "", &[(11, SIGNED_FIELD)]);
    assert_permitted(&file, &[signature("s")]);
}

#[test]
fn validation_data_time_stamps_metadata_and_empty_fields_are_no_change() {
    for kind in KINDS {
        let mut file = File::signed(kind, "");
        file.update(&[
            (1, "<</Type/Catalog/Pages 2 0 R/AcroForm 9 0 R/Metadata 14 0 R/DSS 40 0 R>>"),
            (40, "<</Certs 41 0 R/VRI<<>>>>"),
            (41, "[42 0 R]"),
            (42, "<</Length 1>>stream\nc\nendstream"),
        ]);
        file.update(&[(41, "[42 0 R 43 0 R]"), (43, "<</Length 1>>stream\nd\nendstream")]);
        file.update(&[
            (14, "<</Type/Metadata/Subtype/XML/Length 4>>stream\n<b/>\nendstream"),
            (15, "<</Title(Contract)/ModDate(D:20260202000000Z)/Producer(x)>>"),
            (9, "<</Fields[10 0 R 11 0 R 44 0 R]/DA(/F 0 Tf)/SigFlags 3>>"),
            (44, "<</FT/Sig/T(later)/Type/Annot/Subtype/Widget/Rect[0 0 0 0]>>"),
        ]);
        let stamp = signature_dictionary("").replace("/Type/Sig", "/Type/DocTimeStamp");
        file.update(&[
            (9, "<</Fields[10 0 R 11 0 R 44 0 R 45 0 R]/DA(/F 0 Tf)/SigFlags 3>>"),
            (45, "<</FT/Sig/T(stamp)/Type/Annot/Subtype/Widget/Rect[0 0 0 0]/V 46 0 R>>"),
            (46, &stamp),
        ]);
        file.fill_range();
        let first = &file.signatures()[0];
        assert_eq!(first.changes, []);
        let mut found = first.permitted.clone();
        found.sort_by_key(|permitted| format!("{permitted:?}"));
        assert_eq!(
            found,
            [
                Permitted::DocTimeStamp { field: "stamp".into() },
                Permitted::EmptySignatureField { field: "later".into() },
                Permitted::Metadata,
                Permitted::ValidationData,
            ]
        );
        assert_eq!(file.signatures()[1].purpose, SignaturePurpose::DocTimeStamp);
    }
}

/// What a later revision does, its objects, and what it must be called.
type Row = (&'static str, Vec<(u32, String)>, Changed);

#[test]
fn every_other_later_change_is_named() {
    let catalog = "<</Type/Catalog/Pages 2 0 R/AcroForm 9 0 R/Metadata 14 0 R";
    let with_fields = |more: &str| format!("<</Fields[10 0 R 11 0 R{more}]/DA(/F 0 Tf)>>");
    let page = "<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</Font<</F 7 0 R>>>>";
    let rows: Vec<Row> = vec![
        ("content", vec![(5, "<</Length 22>>stream\nBT /F 9 Tf (buy) Tj ET\nendstream".into())], Changed::Page),
        (
            "content by reference",
            vec![
                (3, page.replace("5 0 R", "50 0 R") + "/Annots[8 0 R 10 0 R 11 0 R]>>"),
                (50, "<</Length 1>>stream\nq\nendstream".into()),
            ],
            Changed::Page,
        ),
        ("font", vec![(7, "<</Type/Font/Subtype/Type1/BaseFont/Courier>>".into())], Changed::Page),
        ("content freed", vec![(5, "free".into())], Changed::Page),
        ("page removed", vec![(2, "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>".into())], Changed::Page),
        ("page order", vec![(2, "<</Type/Pages/Kids[4 0 R 3 0 R]/Count 2/MediaBox[0 0 595 842]>>".into())], Changed::Page),
        ("page turned", vec![(3, page.to_owned() + "/Annots[8 0 R 10 0 R 11 0 R]/Rotate 90>>")], Changed::Page),
        (
            "overlay",
            vec![
                (3, page.to_owned() + "/Annots[8 0 R 10 0 R 11 0 R 50 0 R]>>"),
                (50, "<</Type/Annot/Subtype/FreeText/Rect[0 0 500 500]>>".into()),
            ],
            Changed::Page,
        ),
        (
            "overlay in list",
            vec![(12, "[50 0 R]".into()), (50, "<</Type/Annot/Subtype/Stamp/Rect[0 0 500 500]>>".into())],
            Changed::Annotation,
        ),
        ("annotation moved", vec![(8, "<</Type/Annot/Subtype/Link/Rect[0 0 99 99]>>".into())], Changed::Annotation),
        ("annotation removed", vec![(3, page.to_owned() + "/Annots[10 0 R 11 0 R]>>")], Changed::Page),
        ("annotation order", vec![(3, page.to_owned() + "/Annots[10 0 R 8 0 R 11 0 R]>>")], Changed::Page),
        ("action", vec![(1, catalog.to_owned() + "/OpenAction<</S/JavaScript/JS(x)>>>>")], Changed::Catalog),
        ("layers", vec![(1, catalog.to_owned() + "/OCProperties<<>>>>")], Changed::Catalog),
        ("form removed", vec![(1, "<</Type/Catalog/Pages 2 0 R/Metadata 14 0 R>>".into())], Changed::Field),
        ("XFA", vec![(9, "<</Fields[10 0 R 11 0 R]/DA(/F 0 Tf)/XFA[]>>".into())], Changed::Field),
        ("fields look anew", vec![(9, "<</Fields[10 0 R 11 0 R]/DA(/F 0 Tf)/NeedAppearances true>>".into())], Changed::Field),
        ("default appearance", vec![(9, "<</Fields[10 0 R 11 0 R]/DA(/G 0 Tf)>>".into())], Changed::Field),
        ("default fonts", vec![(9, "<</Fields[10 0 R 11 0 R]/DA(/F 0 Tf)/DR<</Font<</F 7 0 R>>>>>>".into())], Changed::Field),
        (
            "field filled",
            vec![(10, "<</Type/Annot/Subtype/Widget/FT/Tx/T(t)/Rect[9 9 99 30]/AP<</N 13 0 R>>/V(9)>>".into())],
            Changed::Field,
        ),
        (
            "field's look",
            vec![(13, "<</Subtype/Form/BBox[0 0 90 21]/Length 1>>stream\nQ\nendstream".into())],
            Changed::Annotation,
        ),
        ("text field added", vec![(9, with_fields(" 50 0 R")), (50, "<</FT/Tx/T(n)>>".into())], Changed::Field),
        (
            "visible field without signature",
            vec![(9, with_fields(" 50 0 R")), (50, "<</FT/Sig/T(n)/Rect[0 0 500 500]/AP<</N 13 0 R>>>>".into())],
            Changed::Annotation,
        ),
        (
            "signature field with action",
            vec![(9, with_fields(" 50 0 R")), (50, "<</FT/Sig/T(n)/Rect[0 0 0 0]/AA<<>>>>".into())],
            Changed::Field,
        ),
        (
            "signature in a second field",
            vec![(9, with_fields(" 50 0 R")), (50, "<</FT/Sig/T(n)/V 20 0 R>>".into())],
            Changed::Signature,
        ),
        ("field of the same name", vec![(9, with_fields(" 50 0 R")), (50, "<</FT/Sig/T(s)>>".into())], Changed::Signature),
        ("old annotation becomes field", vec![(9, with_fields(" 8 0 R"))], Changed::Field),
        ("signature's look", vec![(11, SIGNED_FIELD.replace("/N 13", "/N 7"))], Changed::Signature),
        ("signature moved", vec![(11, SIGNED_FIELD.replace("100 100", "0 0"))], Changed::Signature),
        ("signature removed", vec![(11, SIGNED_FIELD.replace("/V 20 0 R", ""))], Changed::Signature),
        (
            "signature replaced",
            vec![(11, SIGNED_FIELD.replace("/V 20 0 R", "/V 50 0 R")), (50, signature_dictionary(""))],
            Changed::Signature,
        ),
        ("signed value changed", vec![(20, signature_dictionary(""))], Changed::Signature),
        ("title", vec![(15, "<</Title(Other)/ModDate(D:20260101000000Z)>>".into())], Changed::Information),
        (
            "validation data that is a page",
            vec![(1, catalog.to_owned() + "/DSS<</VRI 5 0 R>>>>"), (5, "<</Length 0>>stream\n\nendstream".into())],
            Changed::Page,
        ),
        (
            "metadata that is something else too",
            vec![(1, catalog.replace("14 0 R", "5 0 R") + ">>"), (5, "<</Length 0>>stream\n\nendstream".into())],
            Changed::Page,
        ),
    ];
    for kind in KINDS {
        for (name, objects, expected) in &rows {
            let objects: Vec<(u32, &str)> = objects.iter().map(|(number, text)| (*number, text.as_str())).collect();
            let mut file = File::signed(kind, "");
            file.update(&objects);
            assert!(changed(&file).contains(expected), "{kind:?} {name}: {:?}", file.signatures()[0].changes);
            // A signature put on top hides nothing.
            let mut file = File::signed(kind, "");
            file.update(&objects);
            file.update(&[(60, "null")]);
            assert!(changed(&file).contains(expected), "{kind:?} {name}, covered");
        }
    }
}

#[test]
fn other_root_or_encryption_is_a_change() {
    let mut file = File::signed(Kind::Table, "");
    file.update_with(&[(50, "<</Type/Catalog/Pages 2 0 R>>")], "/Root 50 0 R");
    assert!(changed(&file).contains(&Changed::Trailer));
    let mut file = File::signed(Kind::Table, "");
    file.update_with(&[(50, "<</Filter/Standard/V 1>>")], "/Root 1 0 R/Encrypt 50 0 R");
    assert!(changed(&file).contains(&Changed::Trailer));
    assert_eq!(file.open().encryption().unwrap().version, 1);
}

#[test]
fn equal_objects_written_again_are_no_change() {
    let mut file = File::signed(Kind::Table, "");
    file.update(&[
        (5, "<</Length 22>>stream\nBT /F 9 Tf (pay) Tj ET\nendstream"),
        (8, "<</Type /Annot /Subtype /Link /Rect [ 0 0 9 9 ]>>"),
    ]);
    assert_permitted(&file, &[]);
}

#[test]
fn change_taken_back_is_reported_by_the_signature_between() {
    let mut file = File::signed(Kind::Table, "");
    file.update(&[(5, "<</Length 1>>stream\nq\nendstream")]);
    second_signature(&mut file, "");
    file.update(&[(5, "<</Length 22>>stream\nBT /F 9 Tf (pay) Tj ET\nendstream")]);
    let signatures = file.signatures();
    assert!(signatures.iter().all(|s| s.changes.iter().any(|c| c.what == Changed::Page)), "{signatures:?}");
}

#[test]
fn filling_needs_a_certification_that_allows_it_and_no_lock() {
    let certified = |p: u8| format!("/Reference[<</TransformMethod/DocMDP/TransformParams<</P {p}/V/1.2>>>>]");
    let locked = |action: &str| {
        format!(
            "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 2>>>>\
             <</TransformMethod/FieldMDP/TransformParams<<{action}>>>>]"
        )
    };
    let cases = [
        (String::new(), false),
        (certified(1), false),
        (certified(2), true),
        (certified(3), true),
        (certified(7), false),
        (locked("/Action/All"), false),
        (locked("/Action/Include/Fields[(t)]"), false),
        (locked("/Action/Include/Fields[(other)]"), true),
        (locked("/Action/Exclude/Fields[(other)]"), false),
        (locked("/Action/Exclude/Fields[(t)]"), true),
        (locked("/Action/Odd"), false),
    ];
    for (extra, allowed) in cases {
        let mut file = File::signed(Kind::Table, &extra);
        file.update(&[
            (10, "<</Type/Annot/Subtype/Widget/FT/Tx/T(t)/Rect[9 9 99 30]/AP<</N 50 0 R>>/V(9)>>"),
            (50, "<</Subtype/Form/BBox[0 0 90 21]/Length 1>>stream\nQ\nendstream"),
        ]);
        if allowed {
            assert_permitted(&file, &[Permitted::FormFilled { field: "t".into() }]);
        } else {
            assert_eq!(changed(&file), [Changed::Field], "{extra}");
        }
    }
}

#[test]
fn closed_document_takes_no_second_signature() {
    let mut file = File::signed(Kind::Table, "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 1>>>>]");
    second_signature(&mut file, "");
    assert_eq!(changed(&file), [Changed::Certified]);
    assert_eq!(file.signatures()[0].doc_mdp, Some(DocMdp::NoChanges));
}

/// Objects that the signed state refers to but did not have (shadow attack, "hide").
#[test]
fn reference_that_led_nowhere_may_not_be_filled() {
    let mut file = File::with_form(Kind::Table);
    file.update(&[(4, "<</Type/Page/Parent 2 0 R/Contents 70 0 R/Annots 12 0 R>>")]);
    file.sign(20, "", &[(11, SIGNED_FIELD)]);
    assert_permitted(&file, &[]);
    file.update(&[(70, "<</Length 1>>stream\nq\nendstream")]);
    assert_eq!(changed(&file), [Changed::Filled]);
}
