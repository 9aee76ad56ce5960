//! A fresh OFD: pages with text, lines and pictures. For samples and tests, not a layout engine.

use std::io::Write;

use crate::document::DocumentError;
use crate::stamp::{RectMm, SizeMm};

/// A document to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewDocument {
    /// `DocInfo/Title`.
    pub title: String,
    /// `DocInfo/CreationDate`, e.g. `2026-11-24`.
    pub date: String,
    /// At least one.
    pub pages: Vec<NewPage>,
    /// Pictures that pages place by their index here.
    pub images: Vec<NewImage>,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPage {
    /// Its size.
    pub size: SizeMm,
    /// What is on it, later ones on top.
    pub items: Vec<Item>,
}

/// A picture file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewImage {
    /// `PNG` or `JPG`.
    pub format: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Something on a page. Lengths in mm from the page's top left corner.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A picture.
    Image {
        /// Index into the document's images.
        image: usize,
        /// Where.
        rect: RectMm,
    },
    /// A straight line.
    Line {
        /// From (x, y).
        from: (f64, f64),
        /// To (x, y).
        to: (f64, f64),
        /// Thickness.
        width: f64,
    },
    /// One line of text.
    Text {
        /// Left edge.
        x: f64,
        /// Baseline.
        y: f64,
        /// Height of a character.
        size: f64,
        /// Name of the font, e.g. `宋体`.
        font: String,
        /// The text.
        text: String,
    },
}

impl NewDocument {
    /// Writes the package. The same document always gives the same bytes.
    pub fn write(&self, _out: &mut dyn Write) -> Result<(), DocumentError> {
        todo!()
    }
}
