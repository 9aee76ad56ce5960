//! Where input files come from: our own hand, and the writers that Debian has.

use std::fs;
use std::process::Command;

use super::run;

/// How an input file comes to be.
#[derive(Clone, Copy)]
pub enum Maker {
    Cairo,
    Groff,
    /// A classic table that hides an object in a stream for newer readers.
    Hybrid,
    Latex,
    LibreOffice,
    Mutool,
    Ours,
    Qpdf(&'static [&'static str]),
}

impl Maker {
    /// The program that it needs, if it needs one.
    pub fn program(self) -> Option<&'static str> {
        match self {
            Self::Cairo => Some("pdftocairo"),
            Self::Groff => Some("gropdf"),
            Self::Hybrid | Self::Ours => None,
            Self::Latex => Some("pdflatex"),
            Self::LibreOffice => Some("soffice"),
            Self::Mutool => Some("mutool"),
            Self::Qpdf(_) => Some("qpdf"),
        }
    }

    /// A document of three pages; those that convert do it to `bytes`.
    pub fn make(self, bytes: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in.pdf"), folder.path().join("out.pdf"));
        fs::write(&input, bytes).unwrap();
        let (input, out) = (input.to_str().unwrap(), output.to_str().unwrap());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let result = match self {
            Self::Hybrid => return hybrid(),
            Self::Groff => {
                write("in.roff", ".po 1i\nContract, page 1\n.bp\nContract, page 2\n.bp\nContract, page 3\n");
                let result = Command::new("groff").args(["-Tpdf", "in.roff"]).current_dir(folder.path()).output();
                fs::write(out, &result.as_ref().unwrap().stdout).unwrap();
                result
            }
            Self::Latex => {
                let pages = "Contract, page 1\\newpage Contract, page 2\\newpage Contract, page 3";
                write("out.tex", &format!("\\documentclass{{article}}\\begin{{document}}{pages}\\end{{document}}\n"));
                Command::new("pdflatex").args(["-interaction=batchmode", "out.tex"]).current_dir(folder.path()).output()
            }
            Self::LibreOffice => {
                write("out.rtf", "{\\rtf1 Contract, page 1\\page Contract, page 2\\page Contract, page 3}");
                let profile = format!("-env:UserInstallation=file://{}/profile", folder.path().display());
                Command::new("soffice")
                    .args([&profile, "--headless", "--convert-to", "pdf:writer_pdf_Export", "out.rtf"])
                    .current_dir(folder.path())
                    .env("HOME", folder.path())
                    .output()
            }
            Self::Ours => return bytes.to_vec(),
            Self::Qpdf(options) => run("qpdf", &[options, &[input, out]].concat()),
            Self::Mutool => run("mutool", &["clean", "-z", input, out]),
            Self::Cairo => run("pdftocairo", &["-pdf", input, out]),
        };
        let result = result.unwrap();
        assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
        fs::read(output).unwrap()
    }
}

/// A document of so many A4 pages, the second turned; written here, so that nothing of the reader under test is in it.
pub fn contract(pages: usize) -> Vec<u8> {
    let mut objects = vec!["<</Type/Catalog/Pages 2 0 R>>".to_owned()];
    let kids: String = (0..pages).map(|i| format!("{} 0 R ", 4 + 2 * i)).collect();
    objects.push(format!("<</Type/Pages/Kids[{kids}]/Count {pages}/MediaBox[0 0 595 842]>>"));
    objects.push("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".into());
    for i in 0..pages {
        let rotate = if i == 1 { "/Rotate 90" } else { "" };
        let (page, content) = (4 + 2 * i, format!("BT /F 20 Tf 60 700 Td (Contract, page {}) Tj ET", i + 1));
        objects.push(format!("<</Type/Page/Parent 2 0 R/Resources<</Font<</F 3 0 R>>>>/Contents {} 0 R{rotate}>>", page + 1));
        objects.push(format!("<</Length {}>>stream\n{content}\nendstream", content.len()));
    }
    pdf(&objects, &[])
}

/// A file with these objects, from number 1 on, the last of them a stream of `data` when there is any.
pub fn pdf(objects: &[String], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"%PDF-1.6\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (i, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{} 0 obj\n{object}\n", i + 1).as_bytes());
        if i + 1 == objects.len() && !data.is_empty() {
            bytes.extend(b"stream\n");
            bytes.extend(data);
            bytes.extend(b"\nendstream\n");
        }
        bytes.extend(b"endobj\n");
    }
    let xref = bytes.len();
    let size = objects.len() + 1;
    bytes.extend(format!("{table}trailer\n<</Size {size}/Root 1 0 R/ID[<00><00>]>>\nstartxref\n{xref}\n%%EOF\n").as_bytes());
    bytes
}

/// The contract with one more section: its table is silent about the document information, its cross-reference stream is not.
fn hybrid() -> Vec<u8> {
    let mut bytes = contract(3);
    let text = String::from_utf8_lossy(&bytes);
    let prev = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().to_owned();
    let size: u32 = text.rsplit("/Size ").next().unwrap().split('/').next().unwrap().parse().unwrap();
    let at = bytes.len();
    bytes.extend(format!("{size} 0 obj\n<</Title(Contract)>>\nendobj\n").as_bytes());
    let stream = bytes.len();
    let own = size + 1;
    bytes.extend(
        format!("{own} 0 obj\n<</Type/XRef/Size {}/W[1 4 1]/Index[{size} 2]/Root 1 0 R/Length 12>>stream\n", size + 2).as_bytes(),
    );
    for offset in [at, stream] {
        bytes.push(1);
        bytes.extend((offset as u32).to_be_bytes());
        bytes.push(0);
    }
    bytes.extend(b"\nendstream\nendobj\n");
    let table = bytes.len();
    let trailer = format!("<</Size {}/Root 1 0 R/Info {size} 0 R/Prev {prev}/XRefStm {stream}/ID[<00><00>]>>", size + 2);
    bytes.extend(format!("xref\n0 1\n0000000000 65535 f \ntrailer\n{trailer}\nstartxref\n{table}\n%%EOF\n").as_bytes());
    bytes
}
