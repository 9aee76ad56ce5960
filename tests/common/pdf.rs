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
    let first = 4 + 2 * contents.len();
    let numbers: String = (0..fields.len()).map(|i| format!("{} 0 R ", first + i)).collect();
    let form = if fields.is_empty() { String::new() } else { format!("/AcroForm<</Fields[{numbers}]>>") };
    let kids: String = (0..contents.len()).map(|i| format!("{} 0 R ", 4 + 2 * i)).collect();
    let mut objects = vec![
        format!("<</Type/Catalog/Pages 2 0 R{form}>>"),
        format!("<</Type/Pages/Kids[{kids}]/Count {}/MediaBox[0 0 595.276 841.89]>>", contents.len()),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
    ];
    for (i, content) in contents.iter().map(AsRef::as_ref).enumerate() {
        let own = fields.iter().enumerate().filter(|(_, (_, page, _))| *page == i).map(|(n, _)| format!("{} 0 R ", first + n));
        let own = if fields.is_empty() { String::new() } else { format!("/Annots[{}]", own.collect::<String>()) };
        objects.push(format!("<</Type/Page/Parent 2 0 R/Resources<</Font<</F 3 0 R>>>>/Contents {} 0 R{own}>>", 5 + 2 * i));
        objects.push(format!("<</Length {}>>stream\n{content}\nendstream", content.len()));
    }
    for (name, page, rect) in fields {
        objects.push(format!("<</Type/Annot/Subtype/Widget/FT/Sig/T({name})/F 4/P {} 0 R/Rect[{rect}]>>", 4 + 2 * page));
    }
    file(&objects, "")
}
