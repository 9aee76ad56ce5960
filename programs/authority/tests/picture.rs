//! The drawn seal: decodes, is red on nothing, has its ring, star and every glyph.
//!
//! Needs a Chinese font: `scripts/setup-debian.sh` installs fonts-noto-cjk.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use sealagent::ses::Picture;
use sealauthority::{Fonts, RoundSeal, draw_round_seal};

struct Pixels {
    size: usize,
    opacity: Vec<u8>,
    colours: Vec<[u8; 3]>,
}

fn decode(picture: &Picture) -> Pixels {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(&picture.data));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.color_type, info.width, info.height), (png::ColorType::Rgba, 472, 472)); // 40 mm at 300 dpi
    let dots: Vec<&[u8]> = bytes.chunks(4).collect();
    Pixels {
        size: 472,
        opacity: dots.iter().map(|dot| dot[3]).collect(),
        colours: dots.iter().filter(|dot| dot[3] > 0).map(|dot| [dot[0], dot[1], dot[2]]).collect(),
    }
}

impl Pixels {
    /// Opacity at a place in mm from the centre, y downwards.
    fn at(&self, x: f32, y: f32) -> u8 {
        let dot = |mm: f32| ((mm + 20.0) / 40.0 * self.size as f32) as usize;
        self.opacity[dot(y) * self.size + dot(x)]
    }

    /// Inked dots inside a circle in mm.
    fn ink(&self, x: f32, y: f32, radius: f32) -> usize {
        let steps = 60;
        (0..steps * steps)
            .filter(|i| {
                let (dx, dy) = ((i % steps) as f32 / steps as f32 * 2.0 - 1.0, (i / steps) as f32 / steps as f32 * 2.0 - 1.0);
                dx * dx + dy * dy < 1.0 && self.at(x + dx * radius, y + dy * radius) > 128
            })
            .count()
    }
}

fn seal(name: &str) -> RoundSeal {
    RoundSeal { name: name.to_owned(), caption: Some("合同专用章".to_owned()), code: Some("44030000000001".to_owned()) }
}

#[test]
fn seal_is_red_on_nothing_with_ring_and_star() {
    let picture = draw_round_seal(&seal("深圳市某某科技有限公司"), &Fonts::of_system()).unwrap();
    assert_eq!((picture.kind.as_str(), picture.width_mm, picture.height_mm), ("PNG", 40, 40));
    assert!(picture.data.len() < 20_000, "{} bytes", picture.data.len());
    let pixels = decode(&picture);
    assert!(pixels.colours.iter().all(|colour| *colour == [0xc8, 0x10, 0x2e]));
    let inked = pixels.opacity.iter().filter(|opacity| **opacity > 128).count();
    assert!((20_000..90_000).contains(&inked), "{inked} dots");
    assert_eq!(pixels.at(0.0, 0.0), 255, "the star covers the centre");
    assert_eq!((pixels.at(-19.2, 0.0), pixels.at(0.0, 19.2)), (255, 255), "the ring");
    assert_eq!((pixels.at(-19.9, -19.9), pixels.at(19.9, 19.9)), (0, 0), "nothing outside the ring");
    assert_eq!(pixels.at(0.0, -9.0), 0, "nothing between star and name");
}

#[test]
fn every_character_of_the_name_leaves_its_own_ink() {
    let name = "深圳市某某科技有限公司";
    let pixels = decode(&draw_round_seal(&seal(name), &Fonts::of_system()).unwrap());
    let count = name.chars().count();
    let step = 248.0f32 / (count - 1) as f32;
    let mut ink = Vec::new();
    for i in 0..count {
        let angle = ((i as f32 - (count - 1) as f32 / 2.0) * step).to_radians();
        ink.push(pixels.ink(15.0 * angle.sin(), -15.0 * angle.cos(), 2.2));
    }
    assert!(ink.iter().all(|dots| *dots > 200), "{ink:?}");
    // 某某: the same character twice leaves about the same ink, 深 and 司 do not.
    assert!(ink[3].abs_diff(ink[4]) * 20 < ink[3], "{ink:?}");
}

#[test]
fn another_name_is_another_picture_and_the_same_name_the_same() {
    let fonts = Fonts::of_system();
    let picture = draw_round_seal(&seal("甲公司"), &fonts).unwrap();
    assert_eq!(picture, draw_round_seal(&seal("甲公司"), &fonts).unwrap());
    assert_ne!(picture, draw_round_seal(&seal("乙公司"), &fonts).unwrap());
}

#[test]
fn longest_and_shortest_names_are_drawn() {
    let fonts = Fonts::of_system();
    for name in ["印".to_owned(), "深圳市前海某某供应链管理咨询服务合伙企业".to_owned(), "公".repeat(36)] {
        assert!(draw_round_seal(&seal(&name), &fonts).unwrap().data.len() < 40_000);
    }
}

#[test]
fn character_that_no_font_has_is_an_error() {
    let error = draw_round_seal(&seal("某\u{e123}公司"), &Fonts::of_system()).unwrap_err(); // private use
    assert!(error.to_string().contains("fonts-noto-cjk"), "{error}");
}
