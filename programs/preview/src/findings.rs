//! What is not in a picture as the file has it, collected while drawing.

use sealagent::preview::{Finding, FindingKind, MAX_FINDINGS};

/// Longest text of the file that a finding repeats, in characters.
const MAX_TEXT: usize = 80;

/// The findings of one page or document, without repetition.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    muted: bool,
}

impl Findings {
    /// Keeps nothing: while a page is drawn again for comparison, everything has been told.
    pub(crate) fn muted() -> Self {
        Self { list: Vec::new(), muted: true }
    }

    /// Adds one. Fonts and glyphs are told once, not once an object.
    pub fn add(&mut self, object: Option<&str>, kind: FindingKind) {
        if self.muted {
            return;
        }
        let object = match &kind {
            FindingKind::FontSubstituted { .. } => None,
            FindingKind::GlyphMissing { characters } => {
                let known = self.list.iter_mut().find_map(|finding| match &mut finding.kind {
                    FindingKind::GlyphMissing { characters } => Some(characters),
                    _ => None,
                });
                if let Some(known) = known {
                    for character in characters.chars() {
                        if !known.contains(character) && known.chars().count() < MAX_TEXT {
                            known.push(character);
                        }
                    }
                    return;
                }
                None
            }
            _ => object.map(shorten),
        };
        let finding = Finding { object, kind };
        match self.list.len() {
            _ if self.list.contains(&finding) => {}
            n if n + 1 < MAX_FINDINGS => self.list.push(finding),
            n if n < MAX_FINDINGS => self.list.push(Finding { object: None, kind: FindingKind::More }),
            _ => {}
        }
    }

    /// All of them.
    pub fn into_list(self) -> Vec<Finding> {
        self.list
    }
}

/// As much of a hostile text as a finding repeats.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
