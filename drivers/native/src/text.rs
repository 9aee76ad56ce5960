//! Text as native libraries give it: fields of fixed size in an encoding that is theirs to know. UTF-8 is said, GBK is met.

use encoding_rs::GB18030;

/// UTF-8 if it is that, else GB18030 (which holds GBK), else what can be read of it; without control characters.
pub fn display(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => GB18030.decode_without_bom_handling(bytes).0,
    };
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// For an id, keeping every byte: text as it is where that is unambiguous, else every byte that is not printable ASCII as `%XX`.
/// `%` is the escape, and `/` and `@` join the parts of ids, so these are escaped too.
pub fn id(bytes: &[u8]) -> String {
    let plain = |c: char| !c.is_control() && !matches!(c, '%' | '/' | '@');
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.chars().all(plain)
    {
        return text.to_owned();
    }
    bytes.iter().fold(String::new(), |mut id, &byte| {
        match byte {
            b'%' | b'/' | b'@' => id.push_str(&format!("%{byte:02X}")),
            b' '..=b'~' => id.push(char::from(byte)),
            _ => id.push_str(&format!("%{byte:02X}")),
        }
        id
    })
}

/// A text field of fixed size: up to the first NUL.
pub fn field(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gbk_is_shown_as_text() {
        assert_eq!(display(b"\xd3\xa1\xd5\xc2  "), "印章");
        assert_eq!(display("印章".as_bytes()), "印章");
        assert_eq!(display(b"a\x07b"), "ab");
    }

    #[test]
    fn ids_of_different_bytes_differ() {
        let ids: Vec<_> = [b"a%2F".as_slice(), b"a/", b"a%", b"a\x07", b"a\xff", b"a@b", b"ab"].iter().map(|b| id(b)).collect();
        assert_eq!(ids, ["a%252F", "a%2F", "a%25", "a%07", "a%FF", "a%40b", "ab"]);
        assert_eq!(id("印章".as_bytes()), "印章");
    }

    #[test]
    fn field_ends_at_its_first_nul() {
        assert_eq!(field(b"ab\0cd"), b"ab");
        assert_eq!(field(b"abcd"), b"abcd");
        assert_eq!(field(b""), b"");
    }
}
