//! What is known of each vendor's library, as data.
//!
//! A profile changes what the driver *sends*; everything a library *answers* is checked the same way under every profile.

use std::path::Path;

use serde::Deserialize;

/// The shipped profiles; each line of fact names where it was seen.
pub const PROFILES_TOML: &str = include_str!("../profiles.toml");

/// What `SKF_ECCSignData` of a library takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum SignInput {
    /// `e = SM3(Z ‖ M)`, as GM/T 0016 §7.6.15 says.
    #[default]
    Digest,
    /// The message itself: the library computes `SM3(Z ‖ M)` under the default id.
    Message,
}

/// An operating system that a library path belongs to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Linux, by whatever name it is sold.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
}

/// One library file of a vendor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryFile {
    /// Where it runs.
    pub system: System,
    /// Its file name, in the vendor's spelling; compared without regard to case.
    pub file: String,
    /// Folders that its installer puts it in, absolute.
    #[serde(default)]
    pub folders: Vec<String>,
    /// Where this line's facts come from; the words are explained at the top of `profiles.toml`.
    pub source: String,
}

/// A USB device that a library drives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsbId {
    /// Vendor and product, `vvvv:pppp` in lower-case hexadecimal.
    pub id: String,
    /// Where this line's facts come from.
    pub source: String,
}

/// What is known of one family of libraries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name to write into the configuration.
    pub name: String,
    /// Vendor and product, for people.
    pub vendor: String,
    /// What signing takes.
    #[serde(default)]
    pub sign_input: SignInput,
    /// The token forgets the PIN after each signature (GM/T 0027 §9.2), so it is sent before each; otherwise only when asked.
    #[serde(default)]
    pub login_each_signature: bool,
    /// Fewest and most bytes of a PIN; a PIN outside is refused without spending a try. GM/T 0016 §8.2.4 says at least 6.
    #[serde(default = "pin_bytes")]
    pub pin_bytes: [usize; 2],
    /// Real devices that this profile was run on by us: device, system and day of each.
    #[serde(default)]
    pub ran_on: Vec<String>,
    /// Its library files.
    #[serde(default, rename = "library")]
    pub libraries: Vec<LibraryFile>,
    /// Its USB devices.
    #[serde(default)]
    pub usb: Vec<UsbId>,
}

fn pin_bytes() -> [usize; 2] {
    [6, ukey::pin::MAX_PIN_BYTES]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    profile: Vec<Profile>,
}

/// Reads a file of profiles.
pub fn parse(text: &str) -> Result<Vec<Profile>, toml::de::Error> {
    toml::from_str::<Profiles>(text).map(|p| p.profile)
}

impl Profile {
    /// The shipped profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        shipped().into_iter().find(|p| p.name == name)
    }

    /// The shipped profile that knows a library by its file name, else the standard's behaviour.
    pub fn of_library(path: &Path) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let known = |p: &Profile| p.libraries.iter().any(|l| l.file.to_lowercase() == file);
        shipped().into_iter().find(known).unwrap_or_default()
    }
}

impl Default for Profile {
    /// A library that does what the standard says.
    fn default() -> Self {
        Self {
            name: "standard".into(),
            vendor: "GM/T 0016".into(),
            sign_input: SignInput::Digest,
            login_each_signature: false,
            pin_bytes: pin_bytes(),
            ran_on: Vec::new(),
            libraries: Vec::new(),
            usb: Vec::new(),
        }
    }
}

/// All shipped profiles.
pub fn shipped() -> Vec<Profile> {
    // The file is part of the program and a test parses it: this cannot be an error in a built program.
    parse(PROFILES_TOML).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_shipped_profile_is_whole() {
        let profiles = parse(PROFILES_TOML).unwrap();
        assert!(profiles.len() >= 10);
        let mut names = BTreeSet::new();
        let mut files = BTreeSet::new();
        for profile in &profiles {
            assert!(names.insert(profile.name.clone()), "{} twice", profile.name);
            let [least, most] = profile.pin_bytes;
            assert!(0 < least && least <= most && most <= ukey::pin::MAX_PIN_BYTES, "{}", profile.name);
            for library in &profile.libraries {
                assert!(files.insert((library.system as u8, library.file.to_lowercase())), "{} is in two profiles", library.file);
                assert!(!library.file.contains(['/', '\\']) && !library.source.is_empty(), "{}", library.file);
                for folder in &library.folders {
                    let absolute = match library.system {
                        System::Windows => folder.starts_with('%') || folder.as_bytes().get(1) == Some(&b':'),
                        System::Linux | System::Macos => folder.starts_with('/'),
                    };
                    assert!(absolute, "{folder}");
                }
            }
            for usb in &profile.usb {
                let (vendor, product) = usb.id.split_once(':').unwrap();
                assert!(
                    [vendor, product].iter().all(|part| part.len() == 4 && u16::from_str_radix(part, 16).is_ok()),
                    "{}",
                    usb.id
                );
                assert!(!usb.source.is_empty());
            }
        }
    }

    #[test]
    fn library_is_known_by_its_file_name_in_any_case() {
        assert_eq!(Profile::of_library(Path::new("/opt/lm-gm3000/lib/libgm3000.1.0.so")).name, "longmai-gm3000");
        assert_eq!(Profile::of_library(Path::new("/x/MTOKEN_GM3000.DLL")).name, "longmai-gm3000");
        assert_eq!(Profile::of_library(Path::new("/x/libother.so")).name, "standard");
        assert_eq!(Profile::named("message-input").unwrap().sign_input, SignInput::Message);
        assert!(Profile::named("nobody").is_none());
    }
}
