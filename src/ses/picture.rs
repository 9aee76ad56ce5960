//! `picture` of a seal.

use crate::asn1::{IA5_STRING, OCTET_STRING, Tlv};

use super::Tolerance;
use super::read::{Fields, Notes, SesError, limits, within};

/// `SES_ESPictureInfo`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Picture {
    /// `type` as written: `PNG`, `gif`, `ofd` …
    pub kind: String,
    /// What `data` is, by its first bytes.
    pub format: PictureFormat,
    /// `data`
    pub data: Vec<u8>,
    /// `width` in mm
    pub width_mm: u64,
    /// `height` in mm
    pub height_mm: u64,
}

/// Format of a picture, by its first bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PictureFormat {
    /// `BM`
    Bmp,
    /// `GIF8`
    Gif,
    /// `ff d8 ff`
    Jpeg,
    /// A package (`PK`): the picture is its first page.
    Ofd,
    /// `89 PNG`
    Png,
    /// XML with an `svg` element near its start
    Svg,
    /// None of these
    Unknown,
}

impl PictureFormat {
    /// By the first bytes of `data`.
    pub fn of(data: &[u8]) -> Self {
        match data {
            [b'B', b'M', ..] => Self::Bmp,
            [b'G', b'I', b'F', b'8', ..] => Self::Gif,
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'P', b'K', 3, 4, ..] => Self::Ofd,
            [0x89, b'P', b'N', b'G', ..] => Self::Png,
            _ if data.iter().find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b)) == Some(&b'<')
                && data[..data.len().min(4096)].windows(4).any(|w| w == b"<svg") =>
            {
                Self::Svg
            }
            _ => Self::Unknown,
        }
    }

    /// Whether a picture's `type` text names this format. Case is free; so are the usual other spellings.
    fn is_named(self, kind: &str) -> bool {
        let names: &[&str] = match self {
            Self::Bmp => &["bmp"],
            Self::Gif => &["gif"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Ofd => &["ofd"],
            Self::Png => &["png"],
            Self::Svg => &["svg"],
            Self::Unknown => &[],
        };
        names.iter().any(|name| kind.trim().trim_start_matches('.').eq_ignore_ascii_case(name))
    }
}

impl Picture {
    /// A picture of `data`, its format found by its first bytes.
    pub fn new(kind: &str, data: Vec<u8>, width_mm: u64, height_mm: u64) -> Self {
        Self { kind: kind.to_owned(), format: PictureFormat::of(&data), data, width_mm, height_mm }
    }

    pub(super) fn read(tlv: Tlv<'_>, notes: &mut Notes) -> Result<Self, SesError> {
        let mut fields = Fields::of(tlv, notes);
        let kind = fields.text("picture.type", IA5_STRING, limits::TEXT_BYTES)?;
        let data = fields.next("picture.data", OCTET_STRING)?.value;
        within("picture.data", data.len(), limits::PICTURE_BYTES)?;
        let (width_mm, height_mm) = (fields.integer("picture.width")?, fields.integer("picture.height")?);
        let format = PictureFormat::of(data);
        if !format.is_named(&kind) {
            fields.notes.add(Tolerance::PictureTypeDiffers);
        }
        fields.end("picture")?;
        Ok(Self { kind, format, data: data.to_vec(), width_mm, height_mm })
    }
}
