//! How each vendor's module does SM2, as data. Whatever the profile says, every signature is checked.

use serde::Deserialize;

/// The shipped profiles.
pub const PROFILES_TOML: &str = include_str!("../profiles.toml");

/// What a mechanism's `C_Sign` takes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// `e = SM3(Z ‖ M)`.
    Digest,
    /// The message; the token computes `SM3(Z ‖ M)` under the default id.
    Message,
}

/// One way to ask for an SM2 signature.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SignMechanism {
    /// `CKM_…`: usually vendor-defined, for one vendor even below that range.
    pub number: u32,
    /// What it signs.
    pub input: Input,
    /// The parameter is the id's bytes; otherwise there is none.
    #[serde(default)]
    pub id_parameter: bool,
}

/// What is known of one vendor's modules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name to write into the configuration.
    pub name: String,
    /// For people.
    pub vendor: String,
    /// Parts of the module's file name.
    #[serde(default)]
    pub files: Vec<String>,
    /// Parts of `CK_INFO.manufacturerID`.
    #[serde(default)]
    pub manufacturers: Vec<String>,
    /// Parts of `CK_INFO.libraryDescription`.
    #[serde(default)]
    pub descriptions: Vec<String>,
    /// `CKA_KEY_TYPE` of SM2 keys, beside `CKK_EC` with the SM2 curve.
    pub key_types: Vec<u32>,
    /// In the order of preference.
    pub mechanisms: Vec<SignMechanism>,
    /// Attributes that hold x and y, where there is no `CKA_EC_POINT`.
    #[serde(default)]
    pub point_attributes: Option<[u32; 2]>,
    /// Real devices that this profile was run on by us: device, system and day of each.
    #[serde(default)]
    pub ran_on: Vec<String>,
    /// Where this comes from; the words are explained at the top of `profiles.toml`.
    pub source: String,
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

/// All shipped profiles.
pub fn shipped() -> Vec<Profile> {
    // The file is part of the program and a test parses it: this cannot be an error in a built program.
    parse(PROFILES_TOML).unwrap_or_default()
}

impl Profile {
    /// The shipped profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        shipped().into_iter().find(|p| p.name == name)
    }

    /// Whether the profile knows a module by its file name, manufacturer or description.
    pub fn knows(&self, file: &str, manufacturer: &str, description: &str) -> bool {
        let within = |parts: &[String], text: &str| parts.iter().any(|part| text.to_lowercase().contains(&part.to_lowercase()));
        within(&self.files, file) || within(&self.manufacturers, manufacturer) || within(&self.descriptions, description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_is_whole_and_prefers_the_digest() {
        let profiles = parse(PROFILES_TOML).unwrap();
        assert!(profiles.len() >= 8);
        for (at, profile) in profiles.iter().enumerate() {
            assert!(profiles[..at].iter().all(|other| other.name != profile.name), "{} twice", profile.name);
            assert!(!profile.key_types.is_empty() && !profile.mechanisms.is_empty() && !profile.source.is_empty());
            let message = |m: &SignMechanism| m.input == Input::Message;
            assert!(profile.mechanisms.is_sorted_by_key(message), "{}", profile.name);
            assert!(profile.mechanisms.iter().all(|m| message(m) || !m.id_parameter), "{}", profile.name);
        }
    }

    #[test]
    fn modules_are_known_by_file_manufacturer_or_description() {
        let known = |file: &str, manufacturer: &str, description: &str| {
            let found = shipped().into_iter().find(|p| p.knows(file, manufacturer, description));
            found.map(|p| p.name)
        };
        assert_eq!(known("libupkcs11.so", "", "").as_deref(), Some("sansec"));
        assert_eq!(known("libTassPkcs11.so", "", "").as_deref(), Some("tass"));
        assert_eq!(known("x.so", "SafeNet", "").as_deref(), Some("luna"));
        assert_eq!(known("x.so", "", "Chrystoki").as_deref(), Some("luna"));
        assert_eq!(known("libsofthsm2.so", "SoftHSM", "Implementation of PKCS11"), None);
    }
}
