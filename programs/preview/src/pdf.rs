//! PDF pages.

use sealagent::preview::PageRequest;

use crate::fonts::Fonts;
use crate::ofd::Drawn;

/// A document whose pages can be drawn.
pub struct PdfDocument {}

impl PdfDocument {
    /// Opens.
    pub fn open(_bytes: Vec<u8>) -> Result<Self, String> {
        Err("PDF is not drawn by this build".to_owned())
    }
    /// Pages.
    pub fn pages(&self) -> &[[f64; 2]] {
        &[]
    }
    /// Sealed.
    pub fn sealed(&self) -> Vec<u32> {
        Vec::new()
    }
    /// Draws.
    pub fn draw(&mut self, _request: &PageRequest, _fonts: &mut Fonts) -> Result<Drawn, String> {
        Err(String::new())
    }
}
