//! Draws the picture of a round company seal: red, on transparent ground, the name on the arc, a star, the code below.
//!
//! Every glyph is drawn by its outline from one font of the system, never by a shaping library's choice: a character that the font
//! lacks is an error, not a hollow box on somebody's seal. All pixels have one colour and differ in opacity only, so the PNG is a
//! palette image of some kilobytes; tokens have little room.

use sealagent::ses::Picture;
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, MetadataProvider as _};
use tiny_skia::{FillRule, Mask, Path, PathBuilder, Stroke, Transform};

/// Resolution of the picture, in dots per inch.
pub const DPI: u32 = 300;
/// Diameter of a round company seal, in mm (国发〔1999〕25号: 40 to 45 mm).
pub const ROUND_SEAL_MM: u32 = 40;
/// Most characters of a name that the arc holds legibly, glyphs then being 1.6 mm wide.
pub const MAX_NAME_CHARACTERS: usize = 36;
/// Most characters of a caption below the star.
pub const MAX_CAPTION_CHARACTERS: usize = 8;
/// Most characters of a code: a UUID has 36.
pub const MAX_CODE_CHARACTERS: usize = 36;
/// Largest picture that is given out, in bytes: what fits on tokens beside certificates. A full seal makes 7 to 10 KB.
pub const MAX_PICTURE_BYTES: usize = 64 << 10;

/// Seal red, `#C8102E`.
const RED: [u8; 3] = [0xc8, 0x10, 0x2e];
/// Tried first, in this order: Song faces as on cut seals, then the sans-serif ones that systems bring.
const FAMILIES: [&str; 10] = [
    "Noto Serif CJK SC",
    "Source Han Serif SC",
    "SimSun",
    "STSong",
    "AR PL UMing CN",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
];

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The PNG could not be written.
    #[error("the picture cannot be encoded: {0}")]
    Encoding(#[from] png::EncodingError),
    /// No font of the system has all characters.
    #[error(
        "no font on this system has all of the characters {0:?}; install a Chinese font (Debian: apt-get install fonts-noto-cjk)"
    )]
    NoFont(String),
    /// A text is empty or longer than the seal holds.
    #[error("{what} must have 1 to {limit} characters, this has {found}")]
    Text {
        /// Which text.
        what: &'static str,
        /// Its characters.
        found: usize,
        /// The most it may have.
        limit: usize,
    },
    /// Larger than [`MAX_PICTURE_BYTES`].
    #[error("the picture has {0} bytes, more than a seal should carry")]
    TooLarge(usize),
}

/// The fonts installed on this system.
pub struct Fonts(fontdb::Database);

impl Fonts {
    /// Reads the index of the installed fonts, not the fonts themselves.
    pub fn of_system() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        Self(fonts)
    }

    /// A set of its own, without the system's: for tests of its absence, and for a font that is shipped.
    pub fn of_files<'a>(files: impl IntoIterator<Item = &'a std::path::Path>) -> std::io::Result<Self> {
        let mut fonts = fontdb::Database::new();
        for file in files {
            fonts.load_font_file(file)?;
        }
        Ok(Self(fonts))
    }

    /// The outlines of `text`'s characters from the first font that has them all; heavy faces before light ones.
    fn outlines(&self, text: &str) -> Result<Vec<Glyph>, PictureError> {
        let rank = |face: &fontdb::FaceInfo| {
            let family = FAMILIES.iter().position(|name| face.families.iter().any(|(found, _)| found == name));
            (family.unwrap_or(FAMILIES.len()), face.style != fontdb::Style::Normal, face.weight.0.abs_diff(700))
        };
        let mut faces: Vec<&fontdb::FaceInfo> = self.0.faces().collect();
        faces.sort_by_cached_key(|face| (rank(face), face.post_script_name.clone()));
        faces
            .into_iter()
            .find_map(|face| self.0.with_face_data(face.id, |data, index| glyphs(data, index, text)).flatten())
            .ok_or_else(|| PictureError::NoFont(text.to_owned()))
    }
}

/// One character: its outline, y upwards, in a box of 1 em.
#[derive(Clone)]
struct Glyph {
    outline: Option<Path>,
    advance: f32,
}

/// `None` unless this face has every character.
fn glyphs(data: &[u8], index: u32, text: &str) -> Option<Vec<Glyph>> {
    let font = FontRef::from_index(data, index).ok()?;
    let (characters, outlines) = (font.charmap(), font.outline_glyphs());
    let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
    text.chars()
        .map(|c| {
            let id = characters.map(c)?;
            let mut pen = Pen(PathBuilder::new());
            outlines.get(id)?.draw(DrawSettings::unhinted(Size::new(1.0), LocationRef::default()), &mut pen).ok()?;
            let outline = pen.0.finish();
            if outline.is_none() && !c.is_whitespace() {
                return None; // a blank where a character should be
            }
            Some(Glyph { outline, advance: metrics.advance_width(id)? })
        })
        .collect()
}

struct Pen(PathBuilder);

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }
    fn quad_to(&mut self, cx0: f32, cy0: f32, x: f32, y: f32) {
        self.0.quad_to(cx0, cy0, x, y);
    }
    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        self.0.cubic_to(cx0, cy0, cx1, cy1, x, y);
    }
    fn close(&mut self) {
        self.0.close();
    }
}

/// What stands on a round seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundSeal {
    /// The company's name, on the arc.
    pub name: String,
    /// What the seal is for (合同专用章, 财务专用章), below the star; the name seal has none.
    pub caption: Option<String>,
    /// The seal code, small, on the lower arc.
    pub code: Option<String>,
}

// Geometry in mm from the centre, y downwards.
const RING_RADIUS: f32 = 19.2;
const RING_WIDTH: f32 = 1.2;
const STAR_RADIUS: f32 = 6.6;
const NAME_RADIUS: f32 = 15.0;
const NAME_HEIGHT: f32 = 5.0;
/// The name takes at most this arc, so that the code has its own.
const NAME_ARC: f32 = 248.0;
/// Most degrees from one character of the name to the next.
const NAME_STEP: f32 = 27.0;
const CODE_RADIUS: f32 = 17.1;
const CODE_HEIGHT: f32 = 1.9;
const CODE_ARC: f32 = 88.0;
const CODE_STEP: f32 = 4.6;
const CAPTION_Y: f32 = 9.6;
const CAPTION_HEIGHT: f32 = 3.4;
const CAPTION_WIDTH: f32 = 20.0;
/// Height of the middle of a character above its baseline, in em: of Chinese ones, and of digits and capitals.
const MIDDLE: f32 = 0.37;

/// Draws the seal with the fonts given.
pub fn draw_round_seal(seal: &RoundSeal, fonts: &Fonts) -> Result<Picture, PictureError> {
    let name = checked("the name on the seal", &seal.name, MAX_NAME_CHARACTERS, fonts)?;
    let caption = optional("the caption", seal.caption.as_deref(), MAX_CAPTION_CHARACTERS, fonts)?;
    let code = optional("the seal code", seal.code.as_deref(), MAX_CODE_CHARACTERS, fonts)?;

    let mut canvas = Canvas::new(ROUND_SEAL_MM);
    let ring = Stroke { width: RING_WIDTH, ..Stroke::default() };
    // At 12 dots a mm; the stroker's curves are made for that size.
    canvas.fill(PathBuilder::from_circle(0.0, 0.0, RING_RADIUS).and_then(|c| c.stroke(&ring, 12.0)), Transform::identity());
    canvas.fill(star(STAR_RADIUS), Transform::identity());

    let step = arc_step(name.len(), NAME_ARC, NAME_STEP);
    // As wide as its share of the arc at the feet of the characters, where they come closest to each other.
    let width = NAME_HEIGHT.min((NAME_RADIUS - 0.35 * NAME_HEIGHT) * step.to_radians() * 0.98);
    for (i, glyph) in name.iter().enumerate() {
        let angle = (i as f32 - (name.len() - 1) as f32 / 2.0) * step;
        canvas.fill(
            glyph.outline.clone(),
            Transform::from_rotate(angle)
                .pre_translate(0.0, -NAME_RADIUS)
                .pre_scale(width, NAME_HEIGHT)
                .pre_concat(glyph.centred()),
        );
    }
    let step = arc_step(code.len(), CODE_ARC, CODE_STEP);
    let width = CODE_HEIGHT.min(CODE_RADIUS * step.to_radians() / 0.62);
    for (i, glyph) in code.iter().enumerate() {
        let angle = ((code.len().max(1) - 1) as f32 / 2.0 - i as f32) * step; // from left to right along the bottom
        canvas.fill(
            glyph.outline.clone(),
            Transform::from_rotate(angle)
                .pre_translate(0.0, CODE_RADIUS)
                .pre_scale(width, CODE_HEIGHT)
                .pre_concat(glyph.centred()),
        );
    }
    let pitch = CAPTION_HEIGHT.min(CAPTION_WIDTH / caption.len().max(1) as f32);
    for (i, glyph) in caption.iter().enumerate() {
        let x = (i as f32 - (caption.len() - 1) as f32 / 2.0) * pitch;
        canvas.fill(
            glyph.outline.clone(),
            Transform::from_translate(x, CAPTION_Y).pre_scale(pitch, CAPTION_HEIGHT).pre_concat(glyph.centred()),
        );
    }
    let side = u64::from(ROUND_SEAL_MM);
    canvas.into_png().map(|data| Picture::new("PNG", data, side, side))
}

/// Degrees between characters: evenly over the arc, but not more than `most`.
fn arc_step(count: usize, arc: f32, most: f32) -> f32 {
    most.min(arc / count.max(2).saturating_sub(1) as f32)
}

fn checked(what: &'static str, text: &str, limit: usize, fonts: &Fonts) -> Result<Vec<Glyph>, PictureError> {
    match text.chars().count() {
        found if found == 0 || found > limit => Err(PictureError::Text { what, found, limit }),
        _ => fonts.outlines(text),
    }
}

fn optional(what: &'static str, text: Option<&str>, limit: usize, fonts: &Fonts) -> Result<Vec<Glyph>, PictureError> {
    text.map_or(Ok(Vec::new()), |text| checked(what, text, limit, fonts))
}

impl Glyph {
    /// Moves the middle of the character to the origin and turns y downwards.
    fn centred(&self) -> Transform {
        Transform::from_scale(1.0, -1.0).pre_translate(-self.advance / 2.0, -MIDDLE)
    }
}

/// A five-pointed star, one point up.
fn star(radius: f32) -> Option<Path> {
    // The five tips, each second one next, cross in the centre: filled by winding, they make the star's body.
    let tip = |i: usize| {
        let angle = (144.0 * i as f32 - 90.0).to_radians();
        (radius * angle.cos(), radius * angle.sin())
    };
    let mut path = PathBuilder::new();
    let (x, y) = tip(0);
    path.move_to(x, y);
    for i in 1..5 {
        let (x, y) = tip(i);
        path.line_to(x, y);
    }
    path.close();
    path.finish()
}

/// Opacity of each dot; colour comes with the palette.
struct Canvas {
    mask: Mask,
    to_dots: Transform,
}

impl Canvas {
    fn new(size_mm: u32) -> Self {
        let dots = size_mm * DPI * 10 / 254;
        let scale = dots as f32 / size_mm as f32;
        #[expect(clippy::expect_used, reason = "the size is a constant of this file, far from 0 and from overflow")]
        let mask = Mask::new(dots, dots).expect("a seal has a size");
        Self { mask, to_dots: Transform::from_translate(dots as f32 / 2.0, dots as f32 / 2.0).pre_scale(scale, scale) }
    }

    fn fill(&mut self, path: Option<Path>, place: Transform) {
        if let Some(path) = path {
            self.mask.fill_path(&path, FillRule::Winding, true, self.to_dots.pre_concat(place));
        }
    }

    fn into_png(self) -> Result<Vec<u8>, PictureError> {
        let (width, height) = (self.mask.width(), self.mask.height());
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Four);
        encoder.set_palette(RED.repeat(16));
        encoder.set_trns((0..16).map(|level| level * 17).collect::<Vec<u8>>());
        let per_metre = DPI * 10_000 / 254;
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit: png::Unit::Meter }));
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&in_sixteen_levels(self.mask.data(), width as usize))?;
        writer.finish()?;
        if out.len() > MAX_PICTURE_BYTES { Err(PictureError::TooLarge(out.len())) } else { Ok(out) }
    }
}

/// Two dots to a byte, left one high, each row from a new byte (PNG clause 7.2). Edges look the same with 16 levels of opacity as with 256,
/// and the file is a third as long.
fn in_sixteen_levels(opacity: &[u8], width: usize) -> Vec<u8> {
    let level = |dot: &u8| ((u16::from(*dot) * 15 + 127) / 255) as u8;
    let pair = |dots: &[u8]| dots.first().map_or(0, level) << 4 | dots.get(1).map_or(0, level);
    opacity.chunks(width).flat_map(|row| row.chunks(2).map(pair)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_outside_its_limits_is_refused() {
        let fonts = Fonts::of_files([]).unwrap();
        let seal = |name: &str| RoundSeal { name: name.to_owned(), caption: None, code: None };
        assert!(matches!(draw_round_seal(&seal(""), &fonts), Err(PictureError::Text { found: 0, .. })));
        let long = "印".repeat(MAX_NAME_CHARACTERS + 1);
        assert!(matches!(draw_round_seal(&seal(&long), &fonts), Err(PictureError::Text { .. })));
    }

    #[test]
    fn without_a_font_the_error_names_the_package() {
        let seal = RoundSeal { name: "某公司".to_owned(), caption: None, code: None };
        let error = draw_round_seal(&seal, &Fonts::of_files([]).unwrap()).unwrap_err();
        assert!(error.to_string().contains("apt-get install fonts-noto-cjk"), "{error}");
    }

    #[test]
    fn star_reaches_its_radius_upwards() {
        let bounds = star(6.6).unwrap().bounds();
        assert!((bounds.top() + 6.6).abs() < 0.001 && bounds.bottom() < 6.6);
    }
}
