//! The pages of one document: the one that is shown, and the one that was turned to and is on its way.

use egui::{Key, RichText, Ui};
use sealagent::question::{Document, Leaf, Look, Page};

use crate::picture::Shown;
use crate::view::amber;
use crate::words::Words;

/// What there is to see of a document.
pub struct Paper {
    document: u32,
    pages: u32,
    can_leaf: bool,
    seen: bool,
    /// What is shown: its number and whether the new seals are left out.
    at: (u32, bool),
    picture: Option<Shown>,
    incomplete: bool,
    awaited: Option<Look>,
}

impl Paper {
    /// The paper of the document with this index, opened at the page that came with the question.
    pub fn new(index: usize, document: &Document) -> Self {
        let page = document.page.as_ref();
        Self {
            document: u32::try_from(index).unwrap_or(u32::MAX),
            pages: document.pages.unwrap_or(0),
            can_leaf: document.can_leaf,
            seen: document.seen,
            at: (page.map_or(1, |page| page.number), false),
            picture: page.and_then(|page| Shown::decode(&page.picture)),
            incomplete: page.is_some_and(|page| page.incomplete),
            awaited: None,
        }
    }

    /// A page has come. One that is no longer awaited is not shown.
    pub fn turn(&mut self, leaf: &Leaf) {
        if self.awaited != Some(leaf.look) {
            return;
        }
        self.awaited = None;
        self.at = (leaf.look.page, leaf.look.bare);
        self.picture = leaf.page.as_ref().and_then(|Page { picture, .. }| Shown::decode(picture));
        self.incomplete = leaf.page.as_ref().is_some_and(|page| page.incomplete);
    }

    /// What is awaited will not come: the agent was asked for another document's page since.
    pub fn give_up(&mut self) {
        self.awaited = None;
    }

    /// Draws the paper; gives the page that the person turns to.
    pub fn show(&mut self, ui: &mut Ui, words: &Words) -> Option<Look> {
        let look = if self.can_leaf && self.pages > 0 { self.show_leafing(ui, words) } else { None };
        if self.awaited.is_some() {
            ui.weak(words.say("page_awaited", &[]));
        } else if self.incomplete && self.picture.is_some() {
            ui.label(RichText::new(format!("⚠ {}", words.say("incomplete", &[]))).color(amber(ui)));
        }
        let height = ui.available_height().min(420.0);
        match &mut self.picture {
            Some(picture) => {
                let name = words.say("page_picture", &[("n", &self.at.0.to_string()), ("of", &self.pages.to_string())]);
                picture.show(ui, height, &name);
            }
            None if self.seen => {
                ui.label(RichText::new(format!("⚠ {}", words.say("no_picture", &[]))).color(amber(ui)));
            }
            None => {
                ui.label(RichText::new(format!("⚠ {}", words.say("unseen", &[]))).color(amber(ui)).size(17.0));
            }
        }
        look
    }

    /// Back, where we are, on, and what lies under the seals. Page Up and Page Down do the same.
    fn show_leafing(&mut self, ui: &mut Ui, words: &Words) -> Option<Look> {
        let (page, bare) = self.awaited.map_or(self.at, |look| (look.page, look.bare));
        let mut wanted = (page, bare);
        let (up, down) = ui.input(|i| (i.key_pressed(Key::PageUp), i.key_pressed(Key::PageDown)));
        ui.horizontal(|ui| {
            if ui.add_enabled(page > 1, egui::Button::new(words.say("page_back", &[]))).clicked() || up {
                wanted.0 = page.saturating_sub(1).max(1);
            }
            ui.label(words.say("page_of", &[("n", &page.to_string()), ("of", &self.pages.to_string())]));
            if ui.add_enabled(page < self.pages, egui::Button::new(words.say("page_on", &[]))).clicked() || down {
                wanted.0 = (page + 1).min(self.pages);
            }
            ui.checkbox(&mut wanted.1, words.say("without_seal", &[]));
        });
        if wanted == (page, bare) {
            return None;
        }
        let look = Look { document: self.document, page: wanted.0, bare: wanted.1 };
        self.awaited = Some(look);
        Some(look)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A document of three pages that the person can leaf through.
    pub(crate) fn leafable() -> Document {
        Document {
            name: "合同".into(),
            format: "OFD".into(),
            pages: Some(3),
            bytes: None,
            sm3: String::new(),
            seal: 0,
            placement: None,
            closes: false,
            seen: true,
            page: None,
            can_leaf: true,
        }
    }

    /// The key that turns to the next page.
    pub(crate) fn page_down() -> egui::Event {
        let key = Key::PageDown;
        egui::Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers: Default::default() }
    }

    #[test]
    fn only_the_page_that_is_awaited_is_turned_to() {
        let mut paper = Paper::new(0, &leafable());
        let (second, third) = (Look { document: 0, page: 2, bare: false }, Look { document: 0, page: 3, bare: false });
        paper.awaited = Some(third);
        paper.turn(&Leaf { look: second, page: None });
        assert_eq!((paper.at, paper.awaited), ((1, false), Some(third)));
        paper.turn(&Leaf { look: third, page: None });
        assert_eq!((paper.at, paper.awaited), ((3, false), None));
    }

    #[test]
    fn page_down_turns_to_the_next_and_stops_at_the_last() {
        let mut paper = Paper::new(0, &leafable());
        let words = Words::new(sealagent::question::Language::En);
        let context = egui::Context::default();
        let mut looks = Vec::new();
        for _ in 0..5 {
            let input = egui::RawInput { events: vec![page_down()], ..Default::default() };
            let _ = context.run_ui(input, |ui| looks.extend(paper.show(ui, &words)));
        }
        assert_eq!(looks.iter().map(|look| look.page).collect::<Vec<_>>(), [2, 3]);
    }
}
