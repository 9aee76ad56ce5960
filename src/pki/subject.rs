//! Who a certificate speaks of: unified social credit codes (USCC, GB 32100-2015) in all the places where CAs put them (trust.md §2).

use super::certificate::Certificate;
use crate::asn1::{Oid, Tlv};

/// The alphabet of GB 32100: no I, O, S, V, Z. A character's place is its value.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// Weights of the first 17 characters.
const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// Longest extension value that is searched; codes stand in short ones.
const MAX_VALUE: usize = 512;

/// A code and where it stood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubjectCode {
    /// The 18 characters, check character verified.
    pub uscc: String,
    /// `subject` or `extension` and the dotted OID of the attribute or extension.
    pub carrier: String,
}

/// Extension arcs in which CAs put identifiers of the subject: `1.2.156.10260.4.1` (GM/T 0015), the legacy `1.2.86.11.7`, the
/// misused `2.5.29.1`, and private sets of several CAs.
const ARCS: [&str; 8] = [
    "1.2.156.10260.4.",
    "1.2.86.11.7.",
    "1.2.86.21.1.",
    "2.5.29.1",
    "1.2.156.112562.2.1.1.",
    "1.3.6.1.4.1.5315.100.",
    "2.16.840.1.113731.",
    "1.2.156.10260.1.",
];

/// All distinct codes of a certificate's subject, in the order of subject attributes, then extensions. More than one is ambiguous.
pub fn subject_codes(certificate: &Certificate) -> Vec<SubjectCode> {
    let mut out: Vec<SubjectCode> = Vec::new();
    let mut add = |text: &str, carrier: &dyn Fn() -> String| {
        for uscc in codes_in(text) {
            if out.iter().all(|known| known.uscc != uscc) {
                out.push(SubjectCode { uscc, carrier: carrier() });
            }
        }
    };
    for attribute in certificate.subject().attributes() {
        add(&attribute.text, &|| format!("subject {}", Oid(&attribute.oid)));
    }
    for (oid, value) in certificate.extensions().others.iter().filter(|(_, value)| value.len() <= MAX_VALUE) {
        let dotted = Oid(oid).dotted();
        if ARCS.iter().any(|arc| dotted.starts_with(arc)) {
            add(&extension_text(value), &|| format!("extension {dotted}"));
        }
    }
    out
}

/// Any string type, or the raw octets: some CAs put no DER inside, some an OCTET STRING inside.
fn extension_text(value: &[u8]) -> String {
    match Tlv::read_all(value) {
        Ok(tlv) => tlv.text().unwrap_or_else(|| String::from_utf8_lossy(tlv.value).into_owned()),
        Err(_) => String::from_utf8_lossy(value).into_owned(),
    }
}

/// The codes in a text: 18 characters of the alphabet with the right check character, possibly with a hyphen before the last, not
/// inside a longer run of ASCII letters and digits, except right after a lower-case or `SF` prefix or before a name.
pub(crate) fn codes_in(text: &str) -> Vec<String> {
    let text: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    let mut out = Vec::new();
    let mut start = 0;
    while start + 18 <= text.len() {
        let window = &text[start..start + 18];
        if is_uscc(window) {
            out.push(String::from_utf8_lossy(window).into_owned());
            start += 18;
        } else {
            start += 1;
        }
    }
    out
}

/// Whether these are 18 characters of GB 32100's alphabet of which the last is the check character of the others.
pub fn is_uscc(code: &[u8]) -> bool {
    let Some((check, body)) = code.split_last().filter(|(_, body)| body.len() == WEIGHTS.len()) else { return false };
    let value = |c: &u8| ALPHABET.iter().position(|known| known == c);
    let Some(sum) = body.iter().zip(WEIGHTS).map(|(c, weight)| Some(value(c)? * weight)).sum::<Option<usize>>() else {
        return false;
    };
    // Positions 3 to 8 are an administrative division, digits only: without this every 31st random text of the alphabet would pass.
    body[2..8].iter().all(u8::is_ascii_digit) && value(check) == Some((31 - sum % 31) % 31)
}

/// A name without what writers differ in: blanks, width of brackets, a code in front.
pub(crate) fn bare_name(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            c => c,
        })
        .collect();
    match name.get(..18) {
        Some(code) if is_uscc(code.as_bytes()) => name[18..].to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_characters_of_real_codes_fit_and_of_a_made_up_one_does_not() {
        for good in ["91110108756730417W", "11370306MB2867521U", "11320500014150050B", "12100000000018032A", "115300000151003540"]
        {
            assert!(is_uscc(good.as_bytes()), "{good}");
        }
        assert!(!is_uscc(b"124324355555666666"));
        assert!(!is_uscc(b"91110108756730417X"));
        assert!(!is_uscc(b"91110108756730417"));
    }

    #[test]
    fn codes_are_found_before_names_after_prefixes_and_with_hyphens() {
        assert_eq!(codes_in("11370306MB2867521U淄博市周村区自然资源局"), ["11370306MB2867521U"]);
        assert_eq!(codes_in("SF91110108756730417W"), ["91110108756730417W"]);
        assert_eq!(codes_in("9111010875673041-7W"), ["91110108756730417W"]);
        assert_eq!(codes_in("000000000"), [""; 0]);
    }

    #[test]
    fn raw_and_wrapped_extension_values_are_read() {
        assert_eq!(extension_text(b"115300000151003540"), "115300000151003540");
        assert_eq!(extension_text(&crate::asn1::der(crate::asn1::UTF8_STRING, b"91110108756730417W")), "91110108756730417W");
        assert_eq!(extension_text(&crate::asn1::der(crate::asn1::OCTET_STRING, b"91110108756730417W")), "91110108756730417W");
    }

    #[test]
    fn names_are_compared_without_codes_blanks_and_widths() {
        assert_eq!(bare_name("11370306MB2867521U淄博市周村区自然资源局"), "淄博市周村区自然资源局");
        assert_eq!(bare_name(" 深圳（测试） 公司"), "深圳(测试)公司");
    }
}
