//! The sample contract: one A4 page of text, written as a fresh OFD by our own writer.

use serde::Deserialize;

use crate::document::DocumentError;
use crate::ofd::write::{Item, NewDocument, NewPage};
use crate::stamp::SizeMm;

/// What stands on the page; `assets/contract.json`.
#[derive(Debug, Deserialize)]
pub struct Contract {
    title: String,
    /// File name that the page gives it.
    pub file: String,
    date: String,
    lines: Vec<Line>,
    rules: Vec<Rule>,
    /// Where the page asks the seal to be put, as the API takes it.
    pub stamp: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Line {
    x: f64,
    y: f64,
    size: f64,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Rule {
    from: (f64, f64),
    to: (f64, f64),
    width: f64,
}

impl Contract {
    /// The sample that this program brings.
    pub fn sample() -> Self {
        #[expect(clippy::expect_used, reason = "the contract is part of the program, and a test reads it")]
        serde_json::from_str(include_str!("assets/contract.json")).expect("contract.json")
    }

    /// The OFD.
    pub fn write(&self) -> Result<Vec<u8>, DocumentError> {
        let text = self.lines.iter().map(|line| Item::Text {
            x: line.x,
            y: line.y,
            size: line.size,
            font: "宋体".to_owned(),
            text: line.text.clone(),
        });
        let rules = self.rules.iter().map(|rule| Item::Line { from: rule.from, to: rule.to, width: rule.width });
        let page = NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: text.chain(rules).collect() };
        let document = NewDocument { title: self.title.clone(), date: self.date.clone(), pages: vec![page], images: Vec::new() };
        let mut out = Vec::new();
        document.write(&mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_is_an_ofd_that_our_reader_opens() {
        let bytes = Contract::sample().write().unwrap();
        assert!(bytes.starts_with(b"PK\x03\x04"));
        assert_eq!(bytes, Contract::sample().write().unwrap(), "the same each time");
    }
}
