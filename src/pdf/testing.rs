//! PDF files written by hand for tests: every offset and every oddity is the test's own, so that no writer repairs it.

use std::{collections::BTreeMap, io::Cursor};

use super::{Document, PdfSignature};

/// Which kind of cross-reference section a revision gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Table,
    Stream,
}

/// A file under construction: revisions are appended to it.
#[derive(Clone)]
pub(super) struct File {
    pub bytes: Vec<u8>,
    kind: Kind,
    last_xref: Option<usize>,
    size: usize,
}

/// Placeholder of a signed value: a DER octet string, then zeros.
pub(super) const VALUE: [u8; 6] = [4, 4, 1, 2, 3, 4];
const ROOM: usize = 32;

impl File {
    pub fn new(kind: Kind) -> Self {
        Self { bytes: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(), kind, last_xref: None, size: 1 }
    }

    /// A file that something else wrote, to be continued.
    pub fn after(bytes: Vec<u8>, last_xref: usize, size: usize) -> Self {
        Self { bytes, kind: Kind::Stream, last_xref: Some(last_xref), size }
    }

    /// The same, with a table.
    pub fn after_table(bytes: Vec<u8>, last_xref: usize, size: usize) -> Self {
        Self { kind: Kind::Table, ..Self::after(bytes, last_xref, size) }
    }

    /// Two pages with content, font and one annotation; a text field `t` and a signature field `s` without value.
    pub fn with_form(kind: Kind) -> Self {
        let mut file = Self::new(kind);
        file.update(&[
            (1, "<</Type/Catalog/Pages 2 0 R/AcroForm 9 0 R/Metadata 14 0 R>>"),
            (2, "<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2/MediaBox[0 0 595 842]>>"),
            (3, "<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</Font<</F 7 0 R>>>>/Annots[8 0 R 10 0 R 11 0 R]>>"),
            (4, "<</Type/Page/Parent 2 0 R/Contents 6 0 R/Rotate 90/CropBox[10 10 300 500]/Annots 12 0 R>>"),
            (5, "<</Length 22>>stream\nBT /F 9 Tf (pay) Tj ET\nendstream"),
            (6, "<</Length 1>>stream\nq\nendstream"),
            (7, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"),
            (8, "<</Type/Annot/Subtype/Link/Rect[0 0 9 9]>>"),
            (9, "<</Fields[10 0 R 11 0 R]/DA(/F 0 Tf)>>"),
            (10, "<</Type/Annot/Subtype/Widget/FT/Tx/T(t)/Rect[9 9 99 30]/AP<</N 13 0 R>>>>"),
            (11, "<</Type/Annot/Subtype/Widget/FT/Sig/T(s)/Rect[100 100 200 200]/P 3 0 R>>"),
            (12, "[]"),
            (13, "<</Subtype/Form/BBox[0 0 90 21]/Length 1>>stream\nq\nendstream"),
            (14, "<</Type/Metadata/Subtype/XML/Length 4>>stream\n<a/>\nendstream"),
            (15, "<</Title(Contract)/ModDate(D:20260101000000Z)>>"),
        ]);
        file
    }

    /// Appends a revision with these objects; `null` frees one.
    pub fn update(&mut self, objects: &[(u32, &str)]) -> &mut Self {
        self.update_with(objects, "/Root 1 0 R/Info 15 0 R")
    }

    pub fn update_with(&mut self, objects: &[(u32, &str)], trailer: &str) -> &mut Self {
        let mut entries = BTreeMap::new();
        for (number, text) in objects {
            entries.insert(*number, (*text != "free").then_some(self.bytes.len()));
            if *text != "free" {
                self.put(&format!("{number} 0 obj\n{text}\nendobj\n"));
            }
        }
        self.section(entries, trailer)
    }

    fn section(&mut self, mut entries: BTreeMap<u32, Option<usize>>, trailer: &str) -> &mut Self {
        let start = self.bytes.len();
        self.size = self.size.max(entries.keys().last().map_or(0, |n| *n as usize + 1));
        let prev = self.last_xref.map_or(String::new(), |prev| format!("/Prev {prev}"));
        match self.kind {
            Kind::Table => {
                self.put("xref\n");
                for (number, place) in entries {
                    let line = place.map_or("0000000000 00001 f".to_owned(), |at| format!("{at:010} 00000 n"));
                    self.put(&format!("{number} 1\n{line} \n"));
                }
                let size = self.size;
                self.put(&format!("trailer\n<</Size {size}{prev}{trailer}>>\n"));
            }
            Kind::Stream => {
                let own = self.size as u32;
                entries.insert(own, Some(start));
                self.size += 1;
                let (mut rows, mut index) = (Vec::new(), String::new());
                for (number, place) in entries {
                    index.push_str(&format!("{number} 1 "));
                    rows.push(u8::from(place.is_some()));
                    rows.extend((place.unwrap_or(0) as u32).to_be_bytes());
                    rows.push(0);
                }
                let (size, len) = (self.size, rows.len());
                self.put(&format!(
                    "{own} 0 obj\n<</Type/XRef/Size {size}{prev}{trailer}/W[1 4 1]/Index[{index}]/Length {len}>>stream\n"
                ));
                self.bytes.extend(rows);
                self.put("\nendstream\nendobj\n");
            }
        }
        self.last_xref = Some(start);
        self.put(&format!("startxref\n{start}\n%%EOF\n"));
        self
    }

    pub fn put(&mut self, text: &str) -> &mut Self {
        self.bytes.extend(text.as_bytes());
        self
    }

    /// Appends a revision in which object `number` is a signature dictionary, with a right byte range.
    pub fn sign(&mut self, number: u32, extra: &str, objects: &[(u32, &str)]) -> &mut Self {
        let dictionary = signature_dictionary(extra);
        let mut all = objects.to_vec();
        all.push((number, &dictionary));
        self.update(&all);
        self.fill_range()
    }

    /// Puts the right numbers into the last `/ByteRange` and the value into its gap.
    pub fn fill_range(&mut self) -> &mut Self {
        let gap = find_last(&self.bytes, b"/Contents<0") + 9;
        let end = gap + 2 + 2 * ROOM;
        let range = format!("[0 {gap} {end} {}]", self.bytes.len() - end);
        let at = find_last(&self.bytes, b"/ByteRange[") + 10;
        self.bytes[at..at + range.len()].copy_from_slice(range.as_bytes());
        let hex: String = VALUE.iter().map(|byte| format!("{byte:02x}")).collect();
        self.bytes[gap + 1..gap + 1 + hex.len()].copy_from_slice(hex.as_bytes());
        self
    }

    /// The form's own field `s` signed with object 20.
    pub fn signed(kind: Kind, extra: &str) -> Self {
        let mut file = Self::with_form(kind);
        file.sign(20, extra, &[(11, SIGNED_FIELD)]);
        file
    }

    pub fn open(&self) -> Document<Cursor<Vec<u8>>> {
        Document::open(Cursor::new(self.bytes.clone())).unwrap()
    }

    pub fn signatures(&self) -> Vec<PdfSignature> {
        self.open().signatures().unwrap()
    }
}

/// [`File::with_form`]'s field `s`, with object 20 as value.
pub(super) const SIGNED_FIELD: &str =
    "<</Type/Annot/Subtype/Widget/FT/Sig/T(s)/Rect[100 100 200 200]/P 3 0 R/V 20 0 R/F 132/AP<</N 13 0 R>>>>";

pub(super) fn signature_dictionary(extra: &str) -> String {
    let spaces = " ".repeat(60);
    let zeros = "00".repeat(ROOM);
    format!(
        "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/adbe.pkcs7.detached/ByteRange[0 0 0 0]{spaces}/Contents<{zeros}>{extra}>>"
    )
}

pub(super) fn find_last(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).rposition(|window| window == word).unwrap()
}
