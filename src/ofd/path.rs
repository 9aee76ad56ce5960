//! Places in a package: ST_Loc of GB/T 33190 clause 7.3.

use std::fmt;

/// The absolute, normalised name of a file in a package: `/Doc_0/Document.xml`. It cannot leave the package.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PackagePath(Box<str>);

impl PackagePath {
    /// The entry file of every package.
    pub fn entry_file() -> Self {
        Self("/OFD.xml".into())
    }

    /// Resolves a location that stands in the file `self`: from the root when it begins with `/`, else from the directory of
    /// `self`. `None` when it leaves the package, is empty, names a directory, or is no path of a package (drive, scheme, control
    /// characters). Backslashes count as slashes.
    pub fn resolve(&self, location: &str) -> Option<Self> {
        let location = location.replace('\\', "/");
        let base = if location.starts_with('/') { "" } else { self.directory() };
        normalise(base, &location)
    }

    /// From a name of the ZIP directory: relative, `/` between its parts.
    pub(super) fn from_entry_name(name: &str) -> Self {
        Self(format!("/{name}").into())
    }

    /// With its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the ZIP directory writes it: without the leading slash.
    pub fn entry_name(&self) -> &str {
        &self.0[1..]
    }

    /// The directory it is in, without a trailing slash: `/Doc_0`, or empty for the root.
    pub fn directory(&self) -> &str {
        self.0.rfind('/').map_or("", |slash| &self.0[..slash])
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        &self.0[self.directory().len() + 1..]
    }

    /// Equal for paths that only differ in case.
    pub(super) fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl fmt::Display for PackagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Case folding as case-insensitive file systems do it: upper first, so that characters with the same capital meet.
pub(super) fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Whether a location needs the tolerance for backslashes.
pub(super) fn has_backslash(location: &str) -> bool {
    location.contains('\\')
}

/// The path `base/location` without `.` and `..`; `base` is a directory as [`PackagePath::directory`] gives it.
fn normalise(base: &str, location: &str) -> Option<PackagePath> {
    if location.is_empty() || location.ends_with('/') || location.chars().any(char::is_control) || has_drive_or_scheme(location) {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in location.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() || matches!(location.rsplit('/').next(), Some("." | "..")) {
        return None;
    }
    Some(PackagePath(format!("/{}", parts.join("/")).into()))
}

/// `C:…`, `file:…`, `http:…`: a colon before the first slash.
pub(super) fn has_drive_or_scheme(name: &str) -> bool {
    name.split('/').next().is_some_and(|first| first.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(base: &str, location: &str) -> Option<String> {
        PackagePath(base.into()).resolve(location).map(|path| path.to_string())
    }

    #[test]
    fn locations_resolve_from_root_or_from_their_file() {
        assert_eq!(from("/OFD.xml", "Doc_0/Document.xml").unwrap(), "/Doc_0/Document.xml");
        assert_eq!(from("/Doc_0/Signs/Signatures.xml", "Sign_0/Signature.xml").unwrap(), "/Doc_0/Signs/Sign_0/Signature.xml");
        assert_eq!(from("/Doc_0/Signs/Signatures.xml", "/OFD.xml").unwrap(), "/OFD.xml");
        assert_eq!(from("/Doc_0/Document.xml", "./Pages/../PublicRes.xml").unwrap(), "/Doc_0/PublicRes.xml");
        assert_eq!(from("/Doc_0/Document.xml", "Pages\\Page_0\\Content.xml").unwrap(), "/Doc_0/Pages/Page_0/Content.xml");
        assert_eq!(from("/Doc_0/Document.xml", "../Doc_1/a.xml").unwrap(), "/Doc_1/a.xml");
    }

    #[test]
    fn locations_that_leave_the_package_are_none() {
        for location in [
            "",
            ".",
            "..",
            "../..",
            "../../x",
            "/../x",
            "C:/x",
            "c:\\x",
            "file:///etc/passwd",
            "a\0b",
            "dir/",
            "a/..",
            "a/.",
            "/",
        ] {
            assert_eq!(from("/Doc_0/Document.xml", location), None, "{location:?}");
        }
    }

    #[test]
    fn parts_of_a_path() {
        let path = PackagePath("/Doc_0/Signs/Signatures.xml".into());
        assert_eq!((path.directory(), path.file_name()), ("/Doc_0/Signs", "Signatures.xml"));
        let root = PackagePath::entry_file();
        assert_eq!((root.directory(), root.file_name(), root.entry_name()), ("", "OFD.xml", "OFD.xml"));
    }
}
