//! What the window shows, and what may be answered when. Who asks, what, with which seal, what happens next: in that order (ui.md).

use std::time::{Duration, Instant};

use egui::{Align, Button, Color32, Id, Key, Layout, RichText, ScrollArea, Sense, Ui, accesskit};
use sealagent::harmless;
use sealagent::question::{Answer, Document, Leaf, Look, MIN_NEW_PIN, Question, Seal, Subject, Token};
use ukey::wire::join_pins;
use zeroize::Zeroizing;

use crate::paper::Paper;
use crate::picture::Shown;
use crate::pin_field::PinField;
use crate::words::Words;

/// Seal red: for the seal and for what cannot be undone. On white it has a contrast of 5.9.
const RED: Color32 = Color32::from_rgb(0xc8, 0x10, 0x2e);
/// Most lines that say where a seal lands; the agent sends 13.
const MAX_PLACES: usize = 50;

/// Red text that keeps a contrast of 4.5 on light and dark ground.
fn red(ui: &Ui) -> Color32 {
    if ui.visuals().dark_mode { Color32::from_rgb(0xff, 0x80, 0x8c) } else { RED }
}

/// What is missing or unsure, with the same contrast.
pub fn amber(ui: &Ui) -> Color32 {
    if ui.visuals().dark_mode { Color32::from_rgb(0xf5, 0xb9, 0x4a) } else { Color32::from_rgb(0x8a, 0x50, 0x00) }
}

/// The person's answer and, for an approval, what goes into the secret trailer.
pub type Outcome = (Answer, Zeroizing<Vec<u8>>);

/// The question on the screen.
pub struct View {
    question: Question,
    words: Words,
    pins: Vec<PinField>,
    focused_pin: Option<usize>,
    sure_of_last_try: bool,
    chosen: usize,
    asked_focus: bool,
    waits_until: Instant,
    lapses_at: Instant,
    seal_pictures: Vec<Option<Shown>>,
    papers: Vec<Paper>,
    look: Option<Look>,
    outcome: Option<Outcome>,
}

impl View {
    /// A view of the question; `now` starts its waiting time.
    pub fn new(question: Question, now: Instant) -> Self {
        let (pins, seal_pictures, papers) = match &question.subject {
            Subject::ChangePin { token } => (if token.on_device { 0 } else { 3 }, Vec::new(), Vec::new()),
            Subject::Pair { .. } => (0, Vec::new(), Vec::new()),
            Subject::Sign { documents, seals, token, .. } => (
                usize::from(!token.on_device),
                seals.iter().map(|s| s.picture.as_ref().and_then(Shown::decode)).collect(),
                documents.iter().enumerate().map(|(i, d)| Paper::new(i, d)).collect(),
            ),
        };
        Self {
            words: Words::new(question.language),
            pins: (0..pins).map(|_| PinField::new()).collect(),
            focused_pin: None,
            sure_of_last_try: false,
            chosen: 0,
            asked_focus: false,
            waits_until: now + Duration::from_millis(question.wait_ms),
            lapses_at: now + Duration::from_secs(question.timeout_s),
            seal_pictures,
            papers,
            look: None,
            outcome: None,
            question,
        }
    }

    /// The window's title.
    pub fn title(&self) -> String {
        match &self.question.subject {
            Subject::ChangePin { .. } => self.words.say("title_change", &[]),
            Subject::Pair { .. } => self.words.say("title_pair", &[]),
            Subject::Sign { documents, .. } if documents.len() > 1 => {
                self.words.say("title_batch", &[("n", &documents.len().to_string())])
            }
            Subject::Sign { .. } => self.words.say("title", &[]),
        }
    }

    /// The answer, once there is one.
    pub fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// The page that the person turned to since the last call.
    pub fn take_look(&mut self) -> Option<Look> {
        self.look.take()
    }

    /// A page has come.
    pub fn turn(&mut self, leaf: &Leaf) {
        if let Some(paper) = self.papers.get_mut(leaf.look.document as usize) {
            paper.turn(leaf);
        }
    }

    /// Whether the question is over.
    pub fn is_answered(&self) -> bool {
        self.outcome.is_some()
    }

    /// "No", from wherever it came.
    pub fn decline(&mut self) {
        self.end(Answer::Decline, Zeroizing::default());
    }

    /// Another window had the focus: what is typed now may have been meant for it, so the waiting time begins anew.
    pub fn regained_focus(&mut self, now: Instant) {
        self.waits_until = now + Duration::from_millis(self.question.wait_ms);
    }

    /// Ends the question when nobody answered; says when to look again.
    pub fn tick(&mut self, now: Instant) -> Instant {
        if now >= self.lapses_at {
            self.end(Answer::TimedOut, Zeroizing::default());
        }
        if now < self.waits_until { now + Duration::from_millis(100) } else { self.lapses_at }
    }

    /// A typed character, before the toolkit could see it. `true` when a PIN field took it.
    pub fn typed(&mut self, text: &str) -> bool {
        let Some(field) = self.focused_pin.and_then(|i| self.pins.get_mut(i)) else { return false };
        text.chars().for_each(|c| field.push(c));
        true
    }

    /// Backspace. `true` when a PIN field took it.
    pub fn backspace(&mut self) -> bool {
        let Some(field) = self.focused_pin.and_then(|i| self.pins.get_mut(i)) else { return false };
        field.pop();
        true
    }

    /// Whether a PIN field has the focus.
    pub fn pin_has_focus(&self) -> bool {
        self.focused_pin.is_some()
    }

    /// Whether "yes" is possible now. Asked again when it is said: a disabled button stops hands, not programs.
    fn may_approve(&self, now: Instant) -> bool {
        let complete = match &self.question.subject {
            Subject::ChangePin { token } => {
                (token.on_device
                    || matches!(self.pins.as_slice(), [old, new, again] if old.len() > 0 && new.len() >= MIN_NEW_PIN && new.same_as(again) && !new.same_as(old)))
                    && (!token.last_try || self.sure_of_last_try)
            }
            Subject::Pair { .. } => true,
            Subject::Sign { token, .. } => {
                (token.on_device || self.pins[0].len() > 0) && (!token.last_try || self.sure_of_last_try)
            }
        };
        self.outcome.is_none() && now >= self.waits_until && complete
    }

    fn approve(&mut self, answer: Answer, now: Instant) {
        if !self.may_approve(now) {
            return;
        }
        let secret = match self.pins.as_mut_slice() {
            [pin] => pin.take().map(|pin| Zeroizing::new(pin.expose().to_vec())),
            [old, new, _] => old.take().zip(new.take()).map(|(old, new)| join_pins(&old, &new)),
            _ => Some(Zeroizing::default()),
        };
        match secret {
            Some(secret) => self.end(answer, secret),
            None => self.decline(),
        }
    }

    fn end(&mut self, answer: Answer, secret: Zeroizing<Vec<u8>>) {
        if self.outcome.is_none() {
            self.outcome = Some((answer, secret));
        }
    }

    /// Draws everything once.
    pub fn show(&mut self, ui: &mut Ui, now: Instant) {
        if ui.input(|i| i.key_pressed(Key::Escape)) {
            self.decline();
        }
        self.focused_pin = None;
        let title = self.title();
        ui.ctx().accesskit_node_builder(ui.unique_id(), |node| node.set_label(title.clone()));
        let subject = self.question.subject.clone();
        egui::Panel::bottom("buttons").show_separator_line(false).show_inside(ui, |ui| {
            ui.add_space(8.0);
            self.show_token_and_buttons(ui, &subject, now);
            ui.add_space(8.0);
        });
        egui::CentralPanel::default().show_inside(ui, |ui| {
            self.show_origin(ui);
            ui.separator();
            match &subject {
                Subject::ChangePin { .. } => {}
                Subject::Pair { code, label } => self.show_pairing(ui, code, label.as_deref()),
                Subject::Sign { documents, seals, .. } => {
                    ui.columns(2, |columns| {
                        self.show_documents(&mut columns[0], documents);
                        columns[0].add_space(8.0);
                        let chosen = documents.get(self.chosen).map_or(0, |d| d.seal);
                        if let Some(seal) = seals.get(chosen) {
                            self.show_seal(&mut columns[0], seal, chosen);
                        }
                        if let Some(look) = self.papers.get_mut(self.chosen).and_then(|p| p.show(&mut columns[1], &self.words)) {
                            self.wish(look);
                        }
                    });
                }
            }
        });
        if !self.asked_focus {
            self.asked_focus = true;
            ui.memory_mut(|m| m.request_focus(pin_id(0)));
        }
    }

    /// The person turns to a page. The agent draws the newest wish alone, so nothing else is awaited any more.
    fn wish(&mut self, look: Look) {
        let others = self.papers.iter_mut().enumerate().filter(|(i, _)| *i != look.document as usize);
        others.for_each(|(_, paper)| paper.give_up());
        self.look = Some(look);
    }

    fn show_origin(&self, ui: &mut Ui) {
        ui.label(RichText::new(self.words.say("asks", &[])).weak());
        let size = if self.question.origin.chars().count() > 48 { 18.0 } else { 26.0 };
        ui.label(RichText::new(harmless::origin(&self.question.origin)).size(size).strong());
        if let Some(note) = &self.question.origin_note {
            ui.label(RichText::new(harmless::line(note)).weak());
        }
    }

    fn show_pairing(&self, ui: &mut Ui, code: &str, label: Option<&str>) {
        if let Some(label) = label {
            ui.label(self.words.say("pair_label", &[("label", &harmless::line(label))]));
        }
        ui.add_space(12.0);
        ui.label(RichText::new(harmless::line(code)).size(40.0).strong().monospace());
        ui.label(RichText::new(self.words.say("pair_question", &[])).size(17.0));
    }

    fn show_documents(&mut self, ui: &mut Ui, documents: &[Document]) {
        match documents {
            [document] => {
                ui.label(RichText::new(self.words.say("document", &[])).weak());
                self.show_document(ui, document);
            }
            many => {
                ui.label(RichText::new(self.words.say("documents", &[("n", &many.len().to_string())])).strong());
                ScrollArea::vertical().id_salt("documents").max_height(180.0).show_rows(ui, 22.0, many.len(), |ui, rows| {
                    for i in rows {
                        let name = format!("{}. {}", i + 1, harmless::line(&many[i].name));
                        if ui.selectable_label(self.chosen == i, name).clicked() {
                            self.chosen = i;
                        }
                    }
                });
                if let Some(document) = many.get(self.chosen) {
                    self.show_document(ui, document);
                }
            }
        }
    }

    fn show_document(&self, ui: &mut Ui, document: &Document) {
        ui.label(RichText::new(harmless::line(&document.name)).size(17.0).strong());
        let mut facts = vec![harmless::line(&document.format)];
        if let Some(pages) = document.pages {
            facts.push(self.words.say("pages", &[("n", &pages.to_string())]));
        }
        if let Some(bytes) = document.bytes {
            facts.push(size_in_words(bytes));
        }
        ui.label(facts.join(" · "));
        let places: Vec<&str> = document.placement.iter().flat_map(|places| places.lines()).take(MAX_PLACES).collect();
        ScrollArea::vertical().id_salt("places").max_height(72.0).show(ui, |ui| {
            for place in places {
                ui.label(harmless::line(place));
            }
        });
        ui.label(RichText::new(self.words.say("digest", &[("hex", &grouped(&document.sm3))])).small().monospace());
        if document.closes {
            ui.label(RichText::new(format!("⚠ {}", self.words.say("closes", &[]))).color(amber(ui)));
        }
        if !document.seen {
            ui.label(RichText::new(format!("⚠ {}", self.words.say("unseen", &[]))).color(amber(ui)).strong());
        }
    }

    fn show_seal(&mut self, ui: &mut Ui, seal: &Seal, index: usize) {
        ui.label(RichText::new(self.words.say("seal", &[])).weak());
        ui.horizontal(|ui| {
            if let Some(picture) = self.seal_pictures.get_mut(index).and_then(Option::as_mut) {
                picture.show(ui, 88.0, &self.words.say("seal_picture", &[]));
            }
            ui.vertical(|ui| {
                ui.label(RichText::new(harmless::line(&seal.name)).size(16.0).color(red(ui)).strong());
                let code = self.words.say("seal_code", &[("id", &harmless::line(&seal.es_id))]);
                ui.label(format!("{code} · {}", self.words.say("valid_to", &[("date", &harmless::line(&seal.valid_to))])));
                ui.label(self.words.say("signer", &[("name", &harmless::line(&seal.signer))]));
                if let Some(uscc) = &seal.uscc {
                    ui.label(self.words.say("uscc", &[("code", &harmless::line(uscc))]));
                }
                if let Some(licence) = &seal.licence {
                    ui.label(self.words.say("licence", &[("says", &harmless::line(licence))]));
                }
                if let Some(host) = &seal.unanswered {
                    let told = self.words.say("unanswered", &[("host", &harmless::line(host))]);
                    ui.label(RichText::new(told).color(red(ui)).strong());
                }
            });
        });
    }

    fn show_token_and_buttons(&mut self, ui: &mut Ui, subject: &Subject, now: Instant) {
        match subject {
            Subject::Sign { documents, token, stamped_by, .. } => {
                if let Some(host) = stamped_by {
                    ui.label(self.words.say("stamped_by", &[("host", &harmless::line(host))]));
                }
                self.show_token(ui, token, &["pin"]);
                let label = match documents.len() {
                    1 => self.words.say("approve", &[]),
                    n => self.words.say("approve_n", &[("n", &n.to_string())]),
                };
                self.show_buttons(ui, &[(label, Answer::Approve)], now);
            }
            Subject::ChangePin { token } => {
                self.show_token(ui, token, &["pin_old", "pin_new", "pin_again"]);
                self.show_buttons(ui, &[(self.words.say("change", &[]), Answer::Approve)], now);
            }
            Subject::Pair { .. } => {
                let once = (self.words.say("pair_once", &[]), Answer::Approve);
                let always = (self.words.say("pair_always", &[]), Answer::ApproveAlways);
                self.show_buttons(ui, &[once, always], now);
            }
        }
    }

    fn show_token(&mut self, ui: &mut Ui, token: &Token, labels: &[&str]) {
        let tries = match token.tries_left {
            Some(n) => self.words.say("tries", &[("n", &n.to_string())]),
            None => self.words.say("tries_unknown", &[]),
        };
        ui.horizontal_wrapped(|ui| {
            ui.label(self.words.say("token", &[("name", &harmless::line(&token.name))]));
            if token.was_wrong {
                ui.label(RichText::new(format!("✖ {}", self.words.say("was_wrong", &[]))).color(red(ui)).strong());
            }
            ui.label(RichText::new(&tries).strong());
        });
        if token.on_device {
            ui.label(RichText::new(self.words.say("on_device", &[])).strong());
        }
        for (i, label) in labels.iter().take(self.pins.len()).enumerate() {
            ui.horizontal(|ui| {
                let name = self.words.say(label, &[]);
                ui.scope(|ui| {
                    ui.set_min_size(egui::vec2(if labels.len() > 1 { 230.0 } else { 0.0 }, 28.0));
                    ui.label(&name);
                });
                self.show_pin(ui, i, &format!("{name}, {tries}"));
            });
        }
        let warning = match self.pins.as_slice() {
            [_, new, again] if again.len() > 0 && !new.same_as(again) => Some("pin_differs"),
            [old, new, _] if new.len() > 0 && new.same_as(old) => Some("pin_same"),
            _ => None,
        };
        if let Some(warning) = warning {
            ui.label(RichText::new(format!("⚠ {}", self.words.say(warning, &[]))).color(amber(ui)));
        }
        if token.last_try {
            ui.checkbox(&mut self.sure_of_last_try, RichText::new(self.words.say("last_try", &[])).color(red(ui)).strong());
        }
    }

    /// A field of our own: the toolkit's keeps what is typed as text with an undo list. It shows dots, takes no paste, and copies nothing.
    fn show_pin(&mut self, ui: &mut Ui, index: usize, name: &str) {
        let (rect, _) = ui.allocate_exact_size(egui::vec2(240.0, 28.0), Sense::hover());
        let response = ui.interact(rect, pin_id(index), Sense::click());
        if response.clicked() {
            response.request_focus();
        }
        let focused = response.has_focus();
        if focused {
            self.focused_pin = Some(index);
        }
        let dots = "●".repeat(self.pins.get(index).map_or(0, PinField::len));
        let visuals = ui.visuals();
        let stroke =
            if focused { egui::Stroke::new(2.0, visuals.selection.stroke.color) } else { visuals.widgets.inactive.fg_stroke };
        let (fill, color) = (visuals.extreme_bg_color, visuals.text_color());
        ui.painter().rect(rect, 4.0, fill, stroke, egui::StrokeKind::Inside);
        ui.painter().with_clip_rect(rect).text(
            rect.left_center() + egui::vec2(8.0, 0.0),
            egui::Align2::LEFT_CENTER,
            &dots,
            egui::FontId::proportional(14.0),
            color,
        );
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_role(accesskit::Role::PasswordInput);
            node.set_label(name);
            node.set_value(dots);
        });
    }

    fn show_buttons(&mut self, ui: &mut Ui, yes: &[(String, Answer)], now: Instant) {
        let entered = self.pin_has_focus() && ui.input(|i| i.key_pressed(Key::Enter));
        if entered && let [(_, answer)] = yes {
            self.approve(answer.clone(), now);
        }
        let wait = self.waits_until.saturating_duration_since(now);
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                for (label, answer) in yes.iter().rev() {
                    let label = if wait.is_zero() {
                        label.clone()
                    } else {
                        self.words.say("wait", &[("label", label), ("s", &wait.as_secs_f32().ceil().to_string())])
                    };
                    let button = Button::new(RichText::new(label).size(15.0).color(Color32::WHITE))
                        .fill(RED)
                        .min_size(egui::vec2(120.0, 32.0));
                    if ui.add_enabled(self.may_approve(now), button).clicked() {
                        self.approve(answer.clone(), now);
                    }
                }
                let no = Button::new(RichText::new(self.words.say("decline", &[])).size(15.0)).min_size(egui::vec2(120.0, 32.0));
                if ui.add(no).clicked() {
                    self.decline();
                }
            });
        });
    }
}

fn pin_id(index: usize) -> Id {
    Id::new(("pin", index))
}

fn size_in_words(bytes: u64) -> String {
    match bytes {
        0..=1023 => format!("{bytes} B"),
        1024..=1_048_575 => format!("{} KB", bytes / 1024),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}

/// Hexadecimal digits in groups of four, so that two can be compared by eye.
fn grouped(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().take(64).collect();
    digits.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
