use sealagent::question::Language;

use super::*;
use crate::paper::tests::{leafable, page_down};

fn question(last_try: bool) -> Question {
    let token = Token {
        name: "Demo".into(),
        tries_left: Some(if last_try { 1 } else { 5 }),
        last_try,
        on_device: false,
        was_wrong: false,
    };
    let seal = Seal {
        name: "章".into(),
        es_id: "1".into(),
        valid_to: "2028".into(),
        signer: "s".into(),
        uscc: None,
        licence: None,
        unanswered: None,
        picture: None,
    };
    Question {
        language: Language::Zh,
        origin: "https://sign.example".into(),
        origin_note: None,
        subject: Subject::Sign { documents: Vec::new(), seals: vec![seal], stamped_by: None, token },
        wait_ms: 1000,
        timeout_s: 60,
    }
}

#[test]
fn nothing_is_accepted_while_the_wait_runs_or_without_a_pin() {
    let start = Instant::now();
    let mut view = View::new(question(false), start);
    view.approve(Answer::Approve, start + Duration::from_secs(2));
    assert!(view.take_outcome().is_none(), "accepted without a PIN");
    view.focused_pin = Some(0);
    assert!(view.typed("135790"));
    view.approve(Answer::Approve, start + Duration::from_millis(999));
    assert!(view.take_outcome().is_none(), "accepted in the first second");
    view.regained_focus(start + Duration::from_millis(1500));
    view.approve(Answer::Approve, start + Duration::from_millis(2000));
    assert!(view.take_outcome().is_none(), "accepted right after the focus came back");
    view.approve(Answer::Approve, start + Duration::from_millis(2500));
    let (answer, secret) = view.take_outcome().unwrap();
    assert_eq!((answer, secret.as_slice()), (Answer::Approve, b"135790".as_slice()));
}

fn screen() -> egui::RawInput {
    let rect = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(960.0, 640.0));
    egui::RawInput { screen_rect: Some(rect), ..egui::RawInput::default() }
}

/// All texts of one frame.
fn texts(view: &mut View) -> Vec<String> {
    fn collect(shape: &egui::Shape, out: &mut Vec<String>) {
        match shape {
            egui::Shape::Text(text) => out.push(text.galley.text().to_owned()),
            egui::Shape::Vec(shapes) => shapes.iter().for_each(|shape| collect(shape, out)),
            _ => {}
        }
    }
    let output = egui::Context::default().run_ui(screen(), |ui| view.show(ui, Instant::now()));
    let mut out = Vec::new();
    output.shapes.iter().for_each(|clipped| collect(&clipped.shape, &mut out));
    out
}

#[test]
fn the_time_stamp_service_is_named_when_one_will_be_asked() {
    for (language, word) in [(Language::Zh, "时间戳服务"), (Language::En, "time stamp service")] {
        let mut asked = question(false);
        asked.language = language;
        let told = |asked: &Question| texts(&mut View::new(asked.clone(), Instant::now())).join("\n");
        assert!(!told(&asked).contains(word));
        let Subject::Sign { stamped_by, .. } = &mut asked.subject else { panic!("no signing question") };
        *stamped_by = Some("stamp.example\u{202e}".into());
        let told = told(&asked);
        assert!(told.contains(word) && told.contains("stamp.example‹U+202E›"), "{told}");
    }
}

#[test]
fn a_region_that_did_not_answer_is_told_beside_its_seal() {
    for (language, word) in [(Language::Zh, "未答复"), (Language::En, "did not answer")] {
        let mut asked = question(false);
        asked.language = language;
        let told = |asked: &Question| texts(&mut View::new(asked.clone(), Instant::now())).join("\n");
        assert!(!told(&asked).contains(word));
        let Subject::Sign { documents, seals, .. } = &mut asked.subject else { panic!("no signing question") };
        *documents = vec![leafable()];
        seals[0].unanswered = Some("status.example\u{202e}".into());
        let told = told(&asked);
        assert!(told.contains(word) && told.contains("status.example‹U+202E›"), "{told}");
    }
}

#[test]
fn a_wish_in_one_document_ends_the_waiting_in_the_others() {
    let mut asked = question(false);
    let Subject::Sign { documents, .. } = &mut asked.subject else { panic!("no signing question") };
    *documents = vec![leafable(), leafable()];
    let mut view = View::new(asked, Instant::now());
    let drawing = |view: &mut View| texts(view).iter().any(|text| text.contains("正在绘制"));
    let down = |view: &mut View| {
        let input = egui::RawInput { events: vec![page_down()], ..screen() };
        let _ = egui::Context::default().run_ui(input, |ui| view.show(ui, Instant::now()));
        view.take_look().unwrap().document
    };
    assert_eq!(down(&mut view), 0);
    assert!(drawing(&mut view));
    view.chosen = 1;
    assert_eq!(down(&mut view), 1);
    assert!(drawing(&mut view));
    view.chosen = 0;
    assert!(!drawing(&mut view), "its page will never come");
}

fn needs_its_own_word(mut view: View, start: Instant) {
    let later = start + Duration::from_secs(2);
    view.approve(Answer::Approve, later);
    assert!(view.take_outcome().is_none());
    view.sure_of_last_try = true;
    view.approve(Answer::Approve, later);
    assert_eq!(view.take_outcome().unwrap().0, Answer::Approve);
}

#[test]
fn last_try_needs_its_own_word() {
    let start = Instant::now();
    let mut view = View::new(question(true), start);
    view.focused_pin = Some(0);
    view.typed("135790");
    needs_its_own_word(view, start);
}

#[test]
fn last_try_on_the_device_needs_its_own_word_too() {
    let start = Instant::now();
    let mut asked = question(true);
    if let Subject::Sign { token, .. } = &mut asked.subject {
        token.on_device = true;
    }
    needs_its_own_word(View::new(asked, start), start);
}

#[test]
fn silence_lapses_and_escape_wins_over_a_later_yes() {
    let start = Instant::now();
    let mut view = View::new(question(false), start);
    view.tick(start + Duration::from_secs(61));
    assert_eq!(view.take_outcome().unwrap().0, Answer::TimedOut);
    let mut view = View::new(question(false), start);
    view.focused_pin = Some(0);
    view.typed("135790");
    view.decline();
    view.approve(Answer::Approve, start + Duration::from_secs(5));
    let (answer, secret) = view.take_outcome().unwrap();
    assert_eq!((answer, secret.len()), (Answer::Decline, 0));
}

#[test]
fn new_pins_must_agree() {
    let start = Instant::now();
    let later = start + Duration::from_secs(2);
    let mut asked = question(false);
    let token = Token { name: "Demo".into(), tries_left: Some(5), last_try: false, on_device: false, was_wrong: false };
    asked.subject = Subject::ChangePin { token };
    let mut view = View::new(asked, start);
    for (i, text) in ["135790", "246824", "246825"].into_iter().enumerate() {
        view.focused_pin = Some(i);
        view.typed(text);
    }
    view.approve(Answer::Approve, later);
    assert!(view.take_outcome().is_none());
    for field in [1, 2] {
        view.focused_pin = Some(field);
        (0..6).for_each(|_| assert!(view.backspace()));
        view.typed("135790");
    }
    view.approve(Answer::Approve, later);
    assert!(view.take_outcome().is_none(), "the old PIN is no new one");
    for field in [1, 2] {
        view.focused_pin = Some(field);
        (0..6).for_each(|_| assert!(view.backspace()));
        view.typed("246824");
    }
    view.approve(Answer::Approve, later);
    let (answer, secret) = view.take_outcome().unwrap();
    let (old, new) = ukey::wire::split_pins(&secret).unwrap();
    assert_eq!((answer, old.expose(), new.expose()), (Answer::Approve, b"135790".as_slice(), b"246824".as_slice()));
}
