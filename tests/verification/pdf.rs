//! PDF: the signed ranges, what the value is, and what came after. The files are written by hand, so that every offset is the test's.

use std::io::Cursor;

use sealagent::pki::TrustStore;
use sealagent::verify::report::{Code, FileFormat, Indication, Level, Report};

use crate::findings::{base, seen};
use crate::forge::recipe::{Recipe, Value, World};
use crate::forge::time_stamp;
use crate::known::Verifier;

/// Bytes set aside for a signed value.
const ROOM: usize = 8000;

/// A PDF in the making: revisions with classic cross-reference tables.
#[derive(Clone, Default)]
pub struct Pdf {
    pub bytes: Vec<u8>,
    last_xref: Option<usize>,
    size: usize,
}

impl Pdf {
    /// One page and an empty form.
    pub fn new() -> Self {
        let mut pdf = Self { bytes: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(), last_xref: None, size: 1 };
        pdf.update(&[
            (1, "<</Type/Catalog/Pages 2 0 R/AcroForm 4 0 R>>"),
            (2, "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>"),
            (3, "<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<<>>/Annots[]>>"),
            (4, "<</Fields[]/SigFlags 3>>"),
            (5, "<</Length 1>>stream\nq\nendstream"),
        ]);
        pdf
    }

    /// Appends a revision.
    pub fn update<T: AsRef<[u8]>>(&mut self, objects: &[(usize, T)]) {
        let mut table = String::new();
        for (number, text) in objects {
            let at = self.bytes.len();
            self.bytes.extend([format!("{number} 0 obj\n").as_bytes(), text.as_ref(), b"\nendobj\n"].concat());
            table.push_str(&format!("{number} 1\n{at:010} 00000 n \n"));
            self.size = self.size.max(number + 1);
        }
        let start = self.bytes.len();
        let previous = self.last_xref.map(|at| format!("/Prev {at}")).unwrap_or_default();
        let trailer = format!("xref\n{table}trailer\n<</Size {}{previous}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n", self.size);
        self.bytes.extend(trailer.bytes());
        self.last_xref = Some(start);
    }

    /// Appends a revision with a signature in a new field; `fields` are those of the form afterwards. Gives the bytes that are signed
    /// to `value` and puts what it returns into the gap.
    pub fn sign(&mut self, first: usize, name: &str, fields: &str, sub_filter: &str, value: impl FnOnce(&[u8]) -> Vec<u8>) {
        let dictionary = format!(
            "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/{sub_filter}/ByteRange[{:50}]/Contents<{}>>>",
            "",
            "00".repeat(ROOM)
        );
        let field =
            format!("<</Type/Annot/Subtype/Widget/FT/Sig/T({name})/Rect[10 10 50 50]/F 132/P 3 0 R/V {} 0 R>>", first + 1);
        let page = format!("<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<<>>/Annots[{fields}]>>");
        let form = format!("<</Fields[{fields}]/SigFlags 3>>");
        self.update(&[(3, &page), (4, &form), (first, &field), (first + 1, &dictionary)]);
        let gap = find_last(&self.bytes, b"/Contents<") + "/Contents".len();
        let end = gap + 2 + 2 * ROOM;
        let range = format!("0 {gap} {end} {}", self.bytes.len() - end);
        let at = find_last(&self.bytes, b"/ByteRange[") + "/ByteRange[".len();
        self.bytes[at..at + range.len()].copy_from_slice(range.as_bytes());
        let value = value(&[&self.bytes[..gap], &self.bytes[end..]].concat());
        assert!(value.len() <= ROOM);
        let hex: String = value.iter().map(|b| format!("{b:02x}")).collect();
        self.bytes[gap + 1..gap + 1 + hex.len()].copy_from_slice(hex.as_bytes());
    }
}

fn find_last(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).rposition(|window| window == what).unwrap()
}

struct Bench {
    recipe: Recipe,
    world: World,
    trust: TrustStore,
}

impl Bench {
    fn of(change: impl FnOnce(&mut Recipe)) -> Self {
        let recipe = Recipe::with(change);
        let world = recipe.world();
        Self { trust: recipe.trust_store(&world), world, recipe }
    }

    fn value(&self, data: &[u8]) -> Vec<u8> {
        self.recipe.signed_value(&self.world, data, "Signature.xml")
    }

    /// A signed document.
    fn signed(&self) -> Pdf {
        let mut pdf = Pdf::new();
        pdf.sign(10, "first", "10 0 R", "GM.sm2seal", |data| self.value(data));
        pdf
    }

    fn judge(&self, bytes: &[u8]) -> Report {
        Verifier::verify(Cursor::new(bytes), &self.recipe.context(&self.trust))
    }

    fn added(&self, bytes: &[u8]) -> Vec<(Code, Level)> {
        seen(&self.judge(bytes)).difference(&base()).copied().collect()
    }
}

#[test]
fn signatures_of_every_kind_in_a_pdf_are_total_passed() {
    for value in [Value::Ses, Value::Attributes, Value::Digest] {
        let bench = Bench::of(|r| r.value = value);
        let report = bench.judge(&bench.signed().bytes);
        assert_eq!((report.format, report.indication), (FileFormat::Pdf, Indication::TotalPassed), "{value:?} {report:#?}");
        assert_eq!(report.signatures[0].id, "first");
    }
}

#[test]
fn contents_decide_and_a_sub_filter_only_tells_damage_from_the_unknown() {
    let bench = Bench::of(|_| {});
    let with = |sub_filter: &str, value: &[u8]| {
        let mut pdf = Pdf::new();
        pdf.sign(10, "first", "10 0 R", sub_filter, |_| value.to_vec());
        bench.added(&pdf.bytes)
    };
    assert_eq!(with("GM.eSeal", b"what"), [(Code::VersionUnsupported, Level::Indeterminate)]);
    assert_eq!(with("GM.sm2seal", b"what"), [(Code::Format, Level::Error)]);
    let mut pdf = Pdf::new();
    pdf.sign(10, "first", "10 0 R", "anything.at.all", |data| bench.value(data));
    assert_eq!(bench.judge(&pdf.bytes).indication, Indication::TotalPassed);
}

#[test]
fn a_changed_byte_before_or_after_the_gap_fails() {
    for value in [Value::Ses, Value::Attributes, Value::Digest] {
        let bench = Bench::of(|r| r.value = value);
        let good = bench.signed().bytes;
        for (what, from, to) in [("content", "stream\nq", "stream\nQ"), ("box", "595 842", "595 843")] {
            let at = find_last(&good, from.as_bytes());
            let mut changed = good.clone();
            changed[at..at + to.len()].copy_from_slice(to.as_bytes());
            assert_eq!(bench.added(&changed), [(Code::DataHash, Level::Error)], "{value:?} {what}");
        }
    }
}

#[test]
fn every_changed_byte_of_a_signed_pdf_is_no_pass() {
    let bench = Bench::of(|_| {});
    let good = bench.signed().bytes;
    let gap = find_last(&good, b"/Contents<") + "/Contents<".len();
    let value = gap..gap + 2 * bench.value(b"").len();
    // The length of an SM2 value varies by a few octets, so the padding begins somewhere near.
    let padding = value.end - 16..gap + 2 * ROOM;
    for place in (0..good.len()).filter(|place| !padding.contains(place)) {
        // The value is long, and its bytes are tried in OFD; of the rest every third byte.
        if place % if value.contains(&place) { 37 } else { 3 } != 0 {
            continue;
        }
        let mut changed = good.clone();
        changed[place] ^= 1;
        let report = bench.judge(&changed);
        assert_ne!(report.indication, Indication::TotalPassed, "at {place}: {report:#?}");
    }
}

#[test]
fn ranges_that_leave_a_gap_are_told_and_nothing_is_compared() {
    let bench = Bench::of(|_| {});
    let mut bytes = bench.signed().bytes;
    let at = find_last(&bytes, b"/ByteRange[0") + "/ByteRange[".len();
    bytes[at] = b'1';
    let missing = [(Code::DataMissing, Level::Indeterminate), (Code::ByteRange, Level::Error)];
    assert_eq!(bench.added(&bytes), missing);
}

#[test]
fn later_changes_fail_the_signature_and_later_signatures_do_not() {
    let bench = Bench::of(|_| {});
    let signed = bench.signed();
    let mut page = signed.clone();
    page.update(&[(5, "<</Length 1>>stream\nQ\nendstream")]);
    assert!(bench.added(&page.bytes).contains(&(Code::ChangedAfterSigning, Level::Error)));

    let mut again = signed.clone();
    again.sign(20, "second", "10 0 R 20 0 R", "GM.sm2seal", |data| bench.value(data));
    let report = bench.judge(&again.bytes);
    assert_eq!(report.indication, Indication::TotalPassed, "{report:#?}");
    assert_eq!(report.signatures.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn a_later_signature_that_does_not_pass_vouches_for_nothing_it_draws() {
    let bench = Bench::of(|_| {});
    let stranger = Bench::of(|r| r.self_issued = [true, true]);
    let mut pdf = bench.signed();
    pdf.sign(20, "second", "10 0 R 20 0 R", "GM.sm2seal", |data| stranger.value(data));
    let report = bench.judge(&pdf.bytes);
    let first = &report.signatures[0];
    assert_eq!(first.uncovered, ["second"]);
    assert!(first.findings.iter().any(|f| (f.code, f.level) == (Code::UncoveredContent, Level::Indeterminate)), "{report:#?}");
}

#[test]
fn a_time_stamp_is_nobodys_signature() {
    let bench = Bench::of(|_| {});
    let stamp = |data: &[u8]| time_stamp(&bench.world.tsa, data, "2026-06-01T08:31:00Z");
    // Beside a signature it is welcome, alone it is none, and over other bytes it is wrong.
    let mut both = bench.signed();
    both.sign(20, "stamp", "10 0 R 20 0 R", "ETSI.RFC3161", stamp);
    let report = bench.judge(&both.bytes);
    assert_eq!(report.indication, Indication::TotalPassed, "{report:#?}");
    let mut alone = Pdf::new();
    alone.sign(10, "stamp", "10 0 R", "ETSI.RFC3161", stamp);
    assert_eq!(bench.added(&alone.bytes), [(Code::NoSignature, Level::Indeterminate)]);
    let mut other = Pdf::new();
    other.sign(10, "stamp", "10 0 R", "ETSI.RFC3161", |_| stamp(b"other"));
    assert!(bench.added(&other.bytes).contains(&(Code::TimestampImprint, Level::Error)));
    // In the place of SignedData by itself it is damage.
    let report = bench.judge(&stamp(b"data"));
    assert!(report.signatures[0].findings.iter().any(|f| f.code == Code::Format), "{report:#?}");
}

#[test]
fn a_pdf_without_signature_and_a_damaged_one_are_no_pass() {
    let bench = Bench::of(|_| {});
    let plain = Pdf::new().bytes;
    assert_eq!(bench.added(&plain), [(Code::NoSignature, Level::Indeterminate)]);
    let report = bench.judge(&plain[..plain.len() / 2]);
    assert_eq!((report.indication, report.findings[0].code), (Indication::TotalFailed, Code::Format));
    let mut encrypted = Pdf::new();
    let at = find_last(&encrypted.bytes, b"/Root 1 0 R");
    encrypted.bytes.splice(at..at, b"/Encrypt<</Filter/Standard/V 1/R 2/O(a)/U(b)/P 0>>".iter().copied());
    let seen = bench.added(&encrypted.bytes);
    assert!(seen.contains(&(Code::VersionUnsupported, Level::Indeterminate)), "{seen:?}");
}
