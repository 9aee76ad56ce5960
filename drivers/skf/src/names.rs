//! Names as SKF libraries give them: lists of C strings in an encoding that is theirs to know (GM/T 0016 §6.3.1 says UTF-8; GBK is met).
//!
//! A name goes back to the library as the bytes it came in. Text is only made for display, and ids keep every byte.

use std::ffi::CString;

use ukey::DriverError;
use ukey_native::text;

/// Longest name in bytes: the standard allows 32 to 64; device names are paths in some libraries.
const MAX_NAME_BYTES: usize = 260;

/// A name as the library gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RawName(CString);

impl RawName {
    pub(crate) fn as_c_str(&self) -> &std::ffi::CStr {
        &self.0
    }

    /// For an id, keeping every byte.
    pub(crate) fn to_id(&self) -> String {
        text::id(self.0.as_bytes())
    }

    /// For display.
    pub(crate) fn to_text(&self) -> String {
        text::display(self.0.as_bytes())
    }
}

/// Takes a multi-string apart. The list ends at an empty name or at the end of the bytes: lengths are met that leave out one
/// NUL or both. An empty list is no bytes, one NUL or two.
pub(crate) fn parse_list(function: &'static str, bytes: &[u8], max: usize) -> Result<Vec<RawName>, DriverError> {
    let mut names = Vec::new();
    for name in bytes.split(|b| *b == 0).take_while(|name| !name.is_empty()) {
        if name.len() > MAX_NAME_BYTES {
            return Err(DriverError::protocol(function, format!("a name of {} bytes", name.len())));
        }
        if names.len() == max {
            return Err(DriverError::protocol(function, format!("more than {max} names")));
        }
        // `split` left no NUL inside, so this is always `Ok`.
        if let Ok(name) = CString::new(name) {
            names.push(RawName(name));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bytes: &[u8]) -> Vec<String> {
        parse_list("f", bytes, 64).unwrap().iter().map(RawName::to_text).collect()
    }

    #[test]
    fn every_seen_ending_of_a_list_is_read() {
        for bytes in [b"a\0bc\0\0".as_slice(), b"a\0bc\0", b"a\0bc", b"a\0bc\0\0\0\0", b"a\0bc\0\0junk"] {
            assert_eq!(list(bytes), ["a", "bc"]);
        }
        for bytes in [b"".as_slice(), b"\0", b"\0\0"] {
            assert!(list(bytes).is_empty());
        }
    }

    #[test]
    fn gbk_name_is_shown_as_text_and_kept_as_bytes() {
        let gbk = b"\xd3\xa1\xd5\xc2"; // 印章
        let names = parse_list("f", &[gbk.as_slice(), b"\0\0"].concat(), 64).unwrap();
        assert_eq!(names[0].to_text(), "印章");
        assert_eq!(names[0].as_c_str().to_bytes(), gbk);
        assert_eq!(names[0].to_id(), "%D3%A1%D5%C2");
        let utf8 = parse_list("f", "印章\0\0".as_bytes(), 64).unwrap();
        assert_eq!(utf8[0].to_id(), "印章");
    }

    #[test]
    fn too_long_or_too_many_names_are_refused() {
        assert!(parse_list("f", &[b'x'; 261], 64).is_err());
        assert!(parse_list("f", &b"x\0".repeat(65), 64).is_err());
    }
}
