//! PDF files, written here so that nothing of the reader under test is in them.

#![allow(dead_code, reason = "several tests share it, and each uses its part")]

/// A file with these objects, numbered from 1 on, the first of them its catalog; `trailer` goes into its trailer.
pub fn file(objects: &[String], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (i, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{} 0 obj\n{object}\nendobj\n", i + 1).as_bytes());
    }
    let (xref, size) = (bytes.len(), objects.len() + 1);
    bytes.extend(format!("{table}trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{xref}\n%%EOF\n").as_bytes());
    bytes
}

/// A4 pages with these content streams; their font `F` is Helvetica.
pub fn pages(contents: &[impl AsRef<str>]) -> Vec<u8> {
    pages_with_fields(contents, &[])
}

/// The same with empty signature fields: name, index of the page, and `/Rect`.
pub fn pages_with_fields(contents: &[impl AsRef<str>], fields: &[(&str, usize, &str)]) -> Vec<u8> {
    set_in(&["<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned()], contents, fields)
}

/// Character collection with its supplement, encoding by UCS-2 and name of a font that is not in the file, as office programs of some years
/// ago wrote them.
pub struct Cjk {
    pub ordering: &'static str,
    pub supplement: u32,
    pub encoding: &'static str,
    pub font: &'static str,
}

impl Cjk {
    /// Chinese in simplified characters.
    pub const GB1: Self = Self { ordering: "GB1", supplement: 2, encoding: "UniGB-UCS2-H", font: "STSong-Light" };

    /// A4 pages with these content streams; their font `F` is this one.
    pub fn pages(&self, contents: &[impl AsRef<str>]) -> Vec<u8> {
        let Self { ordering, supplement, encoding, font } = self;
        let objects = [
            format!("<</Type/Font/Subtype/Type0/BaseFont/{font}/Encoding/{encoding}/DescendantFonts[4 0 R]>>"),
            format!(
                "<</Type/Font/Subtype/CIDFontType0/BaseFont/{font}/CIDSystemInfo<</Registry(Adobe)/Ordering({ordering})/Supplement \
                 {supplement}>>/FontDescriptor 5 0 R>>"
            ),
            format!(
                "<</Type/FontDescriptor/FontName/{font}/Flags 6/FontBBox[-25 -254 1000 880]/ItalicAngle 0/Ascent 880/Descent -120\
                 /CapHeight 880/StemV 93>>"
            ),
        ];
        set_in(&objects, contents, &[])
    }

    /// A text as it stands in a content stream.
    pub fn shown(text: &str) -> String {
        let units: String = text.encode_utf16().map(|unit| format!("{unit:04x}")).collect();
        format!("<{units}> Tj ")
    }
}

/// Pages in the first of these fonts; the objects behind it, numbered from 4 on, are its parts.
fn set_in(fonts: &[String], contents: &[impl AsRef<str>], fields: &[(&str, usize, &str)]) -> Vec<u8> {
    let page_of = |index: usize| 3 + fonts.len() + 2 * index;
    let first = page_of(contents.len());
    let numbers: String = (0..fields.len()).map(|i| format!("{} 0 R ", first + i)).collect();
    let form = if fields.is_empty() { String::new() } else { format!("/AcroForm<</Fields[{numbers}]>>") };
    let kids: String = (0..contents.len()).map(|i| format!("{} 0 R ", page_of(i))).collect();
    let mut objects = vec![
        format!("<</Type/Catalog/Pages 2 0 R{form}>>"),
        format!("<</Type/Pages/Kids[{kids}]/Count {}/MediaBox[0 0 595.276 841.89]>>", contents.len()),
    ];
    objects.extend_from_slice(fonts);
    for (i, content) in contents.iter().map(AsRef::as_ref).enumerate() {
        let own = fields.iter().enumerate().filter(|(_, (_, page, _))| *page == i).map(|(n, _)| format!("{} 0 R ", first + n));
        let own = if fields.is_empty() { String::new() } else { format!("/Annots[{}]", own.collect::<String>()) };
        let text = page_of(i) + 1;
        objects.push(format!("<</Type/Page/Parent 2 0 R/Resources<</Font<</F 3 0 R>>>>/Contents {text} 0 R{own}>>"));
        objects.push(format!("<</Length {}>>stream\n{content}\nendstream", content.len()));
    }
    for (name, page, rect) in fields {
        objects.push(format!("<</Type/Annot/Subtype/Widget/FT/Sig/T({name})/F 4/P {} 0 R/Rect[{rect}]>>", page_of(*page)));
    }
    file(&objects, "")
}
