//! Classes of files: what the current document draws, and what a stranger could add or change without breaking a signature (shared
//! `attacks.md` 55).

use super::super::{FileClass, OfdError, ToleranceKind};
use super::signing::{by_hand, open, plan, sign, signatures};
use super::zip_builder::{RawEntry, zip};

/// A document that names every kind of file.
const FULL: &[(&str, &str)] = &[
    ("OFD.xml", "<OFD><DocBody><DocRoot>Doc_0/Document.xml</DocRoot></DocBody></OFD>"),
    (
        "Doc_0/Document.xml",
        "<Document><CommonData><PageArea><PhysicalBox>0 0 210 297</PhysicalBox></PageArea><PublicRes>PublicRes.xml</PublicRes>\
         <DocumentRes>DocumentRes.xml</DocumentRes><DocumentRes>More.xml</DocumentRes><TemplatePage ID='1' BaseLoc='Tpl.xml'/></CommonData>\
         <Pages><Page ID='2' BaseLoc='Page.xml'/></Pages><Annotations>Annots/List.xml</Annotations>\
         <Attachments>Attach/List.xml</Attachments><CustomTags>Tags.xml</CustomTags><Extensions>Ext.xml</Extensions></Document>",
    ),
    (
        "Doc_0/PublicRes.xml",
        "<Res BaseLoc='Res'><Fonts><Font ID='3'><FontFile>f.ttf</FontFile></Font></Fonts><ColorSpaces><ColorSpace ID='4' Profile='p.icc'/>\
         </ColorSpaces><CompositeGraphicUnits><CompositeGraphicUnit ID='5'><Content/></CompositeGraphicUnit></CompositeGraphicUnits></Res>",
    ),
    (
        "Doc_0/DocumentRes.xml",
        "<Res BaseLoc='Res/'><MultiMedias><MultiMedia ID='6'><MediaFile>i.png</MediaFile></MultiMedia>\
         <MultiMedia ID='7'><MediaFile>/Shared/j.png</MediaFile></MultiMedia></MultiMedias></Res>",
    ),
    ("Doc_0/More.xml", "<Res><MultiMedias><MultiMedia ID='8'><MediaFile>Res/k.png</MediaFile></MultiMedia></MultiMedias></Res>"),
    ("Doc_0/Tpl.xml", "<Page><PageRes>TplRes.xml</PageRes><Content/></Page>"),
    ("Doc_0/TplRes.xml", "<Res BaseLoc='Elsewhere'><Fonts><Font ID='9'><FontFile>beside.ttf</FontFile></Font></Fonts></Res>"),
    ("Doc_0/beside.ttf", "font"),
    (
        "Doc_0/Page.xml",
        "<Page><PageRes>PageRes.xml</PageRes><Template TemplateID='1'/><Content><PageRes>No.xml</PageRes></Content></Page>",
    ),
    (
        "Doc_0/PageRes.xml",
        "<Res BaseLoc='Res'><MultiMedias><MultiMedia ID='10'><MediaFile>gone.png</MediaFile></MultiMedia></MultiMedias></Res>",
    ),
    ("Doc_0/Res/f.ttf", "font"),
    ("Doc_0/Res/p.icc", "profile"),
    ("Doc_0/Res/i.png", "picture"),
    ("Shared/j.png", "picture"),
    ("Doc_0/Res/k.png", "picture"),
    ("Doc_0/Annots/List.xml", "<Annotations><Page PageID='2'><FileLoc>Page_0.xml</FileLoc></Page></Annotations>"),
    ("Doc_0/Annots/Page_0.xml", "<PageAnnot/>"),
    ("Doc_0/Attach/List.xml", "<Attachments><Attachment ID='11'><FileLoc>data.xml</FileLoc></Attachment></Attachments>"),
    ("Doc_0/Attach/data.xml", "<x/>"),
    (
        "Doc_0/Tags.xml",
        "<CustomTags><CustomTag><SchemaLoc>schema.xsd</SchemaLoc><FileLoc>tag.xml</FileLoc></CustomTag></CustomTags>",
    ),
    ("Doc_0/schema.xsd", "<x/>"),
    ("Doc_0/tag.xml", "<x/>"),
    ("Doc_0/Ext.xml", "<Extensions><Extension><ExtendData>ext.dat</ExtendData></Extension></Extensions>"),
    ("Doc_0/ext.dat", "x"),
    ("Doc_0/No.xml", "<Res/>"),
    ("smuggled.exe", "MZ"),
];

fn classes(document: &[u8]) -> Vec<(String, FileClass)> {
    let mut ofd = open(document);
    let body = ofd.bodies()[0].clone();
    ofd.contents(&body).unwrap().files.into_iter().map(|(path, class)| (path.to_string(), class)).collect()
}

fn of_class(document: &[u8], wanted: FileClass) -> Vec<String> {
    classes(document).into_iter().filter(|(_, class)| *class == wanted).map(|(path, _)| path).collect()
}

#[test]
fn every_file_has_its_class() {
    let document = by_hand(FULL);
    assert_eq!(of_class(&document, FileClass::EntryFile), ["/OFD.xml"]);
    assert_eq!(
        of_class(&document, FileClass::Attached),
        [
            "/Doc_0/Attach/List.xml",
            "/Doc_0/Attach/data.xml",
            "/Doc_0/Ext.xml",
            "/Doc_0/Tags.xml",
            "/Doc_0/ext.dat",
            "/Doc_0/schema.xsd",
            "/Doc_0/tag.xml"
        ]
    );
    assert_eq!(of_class(&document, FileClass::Unreferenced), ["/Doc_0/No.xml", "/smuggled.exe"]);
    let drawn = of_class(&document, FileClass::Drawn);
    assert_eq!(drawn.len(), FULL.len() - 1 - 7 - 2, "{drawn:?}");

    let mut ofd = open(document);
    let body = ofd.single_body().unwrap();
    let contents = ofd.contents(&body).unwrap();
    let missing: Vec<(&str, &str)> = contents.missing.iter().map(|(path, by)| (path.as_str(), by.as_str())).collect();
    assert_eq!(missing, [("/Doc_0/Res/gone.png", "/Doc_0/PageRes.xml")]);
    assert!(ofd.package.tolerances().any(|tolerance| tolerance.kind == ToleranceKind::ResourceBeside));
}

/// The files of a signed document with changes made by hand: replaced where the name exists, else added.
fn altered(document: &[u8], changes: &[(&str, &str)]) -> Vec<u8> {
    let mut ofd = open(document);
    let paths: Vec<_> = ofd.package.files().cloned().collect();
    let mut entries: Vec<RawEntry> =
        paths.iter().map(|path| RawEntry::new(path.entry_name(), ofd.package.read(path, 1 << 20).unwrap())).collect();
    for (name, text) in changes {
        match entries.iter_mut().find(|entry| entry.name == name.as_bytes()) {
            Some(entry) => entry.data = text.as_bytes().to_vec(),
            None => entries.push(RawEntry::new(name, text)),
        }
    }
    zip(&entries)
}

fn uncovered_drawn(document: &[u8]) -> Vec<String> {
    let mut ofd = open(document);
    let signature = signatures(&mut ofd).remove(0);
    let body = ofd.single_body().unwrap();
    let contents = ofd.contents(&body).unwrap();
    contents.uncovered_by(&signature).filter(|(_, class)| *class == FileClass::Drawn).map(|(path, _)| path.to_string()).collect()
}

#[test]
fn what_a_stranger_adds_is_uncovered_and_drawn() {
    let signed = sign(&by_hand(FULL), &plan(vec![]), b"v");
    assert_eq!(uncovered_drawn(&signed), [] as [&str; 0]);
    // A picture that was named and not there.
    assert_eq!(uncovered_drawn(&altered(&signed, &[("Doc_0/Res/gone.png", "forged")])), ["/Doc_0/Res/gone.png"]);
    // Something that nothing names draws nothing.
    assert_eq!(uncovered_drawn(&altered(&signed, &[("Doc_0/Annots/Page_1.xml", "forged")])), [] as [&str; 0]);
    // A new version made current in OFD.xml.
    let entry = "<OFD><DocBody><DocRoot>Doc_0/Document.xml</DocRoot><Signatures>/Doc_0/Signs/Signatures.xml</Signatures><Versions>\
                 <Version ID='1' Index='0' BaseLoc='v0.xml'/><Version ID='2' Index='1' Current='true' BaseLoc='v1.xml'/></Versions></DocBody></OFD>";
    let changes = [
        ("OFD.xml", entry),
        ("v1.xml", "<DocVersion><DocRoot>/Doc_0/Forged.xml</DocRoot></DocVersion>"),
        ("Doc_0/Forged.xml", "<Document><Pages><Page ID='1' BaseLoc='Page2.xml'/></Pages></Document>"),
        ("Doc_0/Page2.xml", "<Page/>"),
    ];
    let forged = altered(&signed, &changes);
    assert_eq!(uncovered_drawn(&forged), ["/Doc_0/Forged.xml", "/Doc_0/Page2.xml"]);
    assert_eq!(of_class(&forged, FileClass::OtherVersion).len(), 1 + of_class(&signed, FileClass::Drawn).len() + 7);
    let body = open(forged).single_body().unwrap();
    assert_ne!(body.root, body.current_root);
    assert_eq!(body.versions.iter().map(|version| version.root.is_some()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_resource_list_that_cannot_be_read_makes_all_it_may_name_drawn() {
    let document = altered(&by_hand(FULL), &[("Doc_0/DocumentRes.xml", "<!DOCTYPE Res><Res/>")]);
    assert!(of_class(&document, FileClass::Unreferenced).is_empty());
    assert!(of_class(&document, FileClass::Drawn).contains(&"/Doc_0/Res/i.png".to_owned()));
    let mut ofd = open(document);
    let body = ofd.single_body().unwrap();
    let unreadable = ofd.contents(&body).unwrap().unreadable;
    assert!(matches!(unreadable.as_slice(), [(path, OfdError::Xml { .. })] if path.as_str() == "/Doc_0/DocumentRes.xml"));
}

#[test]
fn empty_elements_and_unreadable_attachments_hide_nothing() {
    let document =
        FULL[1].1.replace("<PublicRes>", "<PublicRes/><PublicRes>").replace("<Annotations>", "<Annotations/><Annotations>");
    let changes = [
        ("Doc_0/Document.xml", document.as_str()),
        ("Doc_0/Tags.xml", "<!DOCTYPE x>"),
        ("Doc_0/Ext.xml", "<Extensions><Extension><ExtendData>../../x</ExtendData></Extension></Extensions>"),
    ];
    let document = altered(&by_hand(FULL), &changes);
    let mut ofd = open(document.clone());
    let body = ofd.single_body().unwrap();
    assert!(ofd.contents(&body).unwrap().unreadable.is_empty());
    assert_eq!(of_class(&document, FileClass::Drawn), of_class(&by_hand(FULL), FileClass::Drawn));
}

#[test]
fn signature_files_are_classed_by_their_signature_unless_drawn() {
    let signed = sign(&sign(&by_hand(FULL), &plan(vec![]), b"1"), &plan(vec![]), b"2");
    assert_eq!(of_class(&signed, FileClass::SignatureList), ["/Doc_0/Signs/Signatures.xml"]);
    for n in 0..2 {
        let expected = ["Seal.esl", "Signature.xml", "SignedValue.dat"].map(|name| format!("/Doc_0/Signs/Sign_{n}/{name}"));
        assert_eq!(of_class(&signed, FileClass::SignatureFile(n)), expected);
    }
    // A stranger's signature that calls the page its seal does not make the page a signature's file.
    let mut ofd = open(signed.clone());
    let path = signatures(&mut ofd).remove(1).path;
    let text = String::from_utf8(ofd.package.read(&path, 1 << 20).unwrap()).unwrap();
    let text = text.replace("<ofd:BaseLoc>/Doc_0/Signs/Sign_1/Seal.esl<", "<ofd:BaseLoc>/Doc_0/Page.xml<");
    let forged = altered(&signed, &[(path.entry_name(), &text)]);
    assert!(of_class(&forged, FileClass::Drawn).contains(&"/Doc_0/Page.xml".to_owned()));
}

#[test]
fn files_of_other_documents_are_classed_apart() {
    let entry = "<OFD><DocBody><DocRoot>Doc_0/Document.xml</DocRoot></DocBody><DocBody><DocRoot>Doc_1/D.xml</DocRoot><Signatures>Doc_1/S.xml</Signatures></DocBody></OFD>";
    let document =
        altered(&by_hand(FULL), &[("OFD.xml", entry), ("Doc_1/D.xml", "<Document/>"), ("Doc_1/S.xml", "<Signatures/>")]);
    assert_eq!(of_class(&document, FileClass::OtherDocument), ["/Doc_1/D.xml", "/Doc_1/S.xml"]);
}

#[test]
fn an_integrity_list_is_compared_with_what_is_there() {
    let list = "<DocEntries><SignedValueLoc>/v.dat</SignedValueLoc><FileList><File ID='1' FileLoc='/OFD.xml'/><File ID='2' FileLoc='/gone.xml'/>\
                <File ID='3' FileLoc='/Doc_0/Document.xml'/></FileList></DocEntries>";
    let small =
        [FULL[0], ("Doc_0/Document.xml", "<Document/>"), ("smuggled.exe", "MZ"), ("OFDEntries.xml", list), ("v.dat", "value")];
    let mut ofd = open(by_hand(&small));
    let found = ofd.integrity_list().unwrap().unwrap();
    assert_eq!(found.digest, crate::sm::sm3(list.as_bytes()));
    assert_eq!(found.missing.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/gone.xml"]);
    assert_eq!(found.unlisted.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/smuggled.exe"]);
    assert_eq!(ofd.integrity_value(&found).unwrap(), b"value");
    assert_eq!(of_class(&by_hand(&small), FileClass::IntegrityList), ["/OFDEntries.xml", "/v.dat"]);
    assert_eq!(open(by_hand(FULL)).integrity_list().unwrap(), None);
}
