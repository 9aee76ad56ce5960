//! Whether a seal's picture can be shown: its frame is read, no pixel is decoded.

use std::io::Cursor;

use super::catalogue::Words;
use super::verifier::Input;
use crate::ofd::Ofd;
use crate::ses::{Picture, PictureFormat};

/// Largest width and height in pixels. Seals are about 500 wide; beyond this a viewer would fill its memory.
const MAX_PIXELS: u32 = 10_000;

/// Reads the frame of a picture. A package inside is opened under the limits of [`Ofd::open`]; what it shows is not looked into.
pub(super) fn check(picture: &Picture) -> Result<(), Words> {
    let data = picture.data.as_slice();
    let size = match picture.format {
        PictureFormat::Png => png(data),
        PictureFormat::Gif => gif(data),
        PictureFormat::Bmp => bmp(data),
        PictureFormat::Jpeg => jpeg(data),
        PictureFormat::Svg => return Ok(()),
        PictureFormat::Ofd => {
            let source: &mut dyn Input = &mut Cursor::new(data);
            return Ofd::open(source).map(drop).map_err(|error| Words {
                en: format!("the package inside is damaged: {error}"),
                zh: format!("其中的文档包已损坏：{error}"),
            });
        }
        _ => None,
    };
    match size {
        Some((1..=MAX_PIXELS, 1..=MAX_PIXELS)) => Ok(()),
        Some((width, height)) => Err(Words {
            en: format!("it has {width} × {height} pixels"),
            zh: format!("其大小为 {width} × {height} 像素"),
        }),
        None => Err(Words {
            en: format!("it is no readable picture of type {}", picture.kind),
            zh: format!("不是可读的 {} 图片", picture.kind),
        }),
    }
}

fn be(data: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(data.get(at..at + length)?.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
}

fn le(data: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(data.get(at..at + length)?.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b)))
}

/// Signature, IHDR first, IEND last.
fn png(data: &[u8]) -> Option<(u32, u32)> {
    let whole = data.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR") && data.windows(4).rev().take(64).any(|w| w == b"IEND");
    whole.then(|| Some((be(data, 16, 4)?, be(data, 20, 4)?)))?
}

fn gif(data: &[u8]) -> Option<(u32, u32)> {
    let whole = data.starts_with(b"GIF87a") || data.starts_with(b"GIF89a");
    whole.then(|| Some((le(data, 6, 2)?, le(data, 8, 2)?)))?
}

/// BITMAPFILEHEADER, then a header of at least 40 bytes; a negative height only turns the picture.
fn bmp(data: &[u8]) -> Option<(u32, u32)> {
    if le(data, 14, 4)? < 40 || le(data, 10, 4)? as usize > data.len() {
        return None;
    }
    let signed = |at| Some((le(data, at, 4)? as i32).unsigned_abs());
    Some((signed(18)?, signed(22)?))
}

/// Markers up to the first frame header.
fn jpeg(data: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        match (data.get(at)?, data.get(at + 1)?) {
            (0xff, 0xff) => at += 1,
            (0xff, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) => {
                return Some((be(data, at + 7, 2)?, be(data, at + 5, 2)?));
            }
            (0xff, 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, 0xd9 | 0xda) => return None,
            (0xff, _) => at += 2 + be(data, at + 2, 2)? as usize,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(data: &[u8]) -> Picture {
        Picture { kind: "png".into(), format: PictureFormat::of(data), data: data.to_vec(), width_mm: 40, height_mm: 40 }
    }

    #[test]
    fn frames_are_read_and_bombs_and_stumps_refused() {
        let png = |w: u32| {
            [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &w.to_be_bytes(), &1u32.to_be_bytes(), b"....IEND...."].concat()
        };
        assert_eq!(check(&picture(&png(500))), Ok(()));
        assert!(check(&picture(&png(0))).is_err());
        assert!(check(&picture(&png(60_000))).is_err());
        assert!(check(&picture(&png(500)[..24])).is_err());
        assert_eq!(check(&picture(b"GIF89a\x10\0\x10\0")), Ok(()));
        assert_eq!(check(&picture(b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x10\0\x20")), Ok(()));
        assert!(check(&picture(b"\xff\xd8\xff\xe0\0\x04ab\xff\xda")).is_err());
        assert!(check(&picture(b"PK\x03\x04")).is_err());
        assert!(check(&picture(b"what is this")).is_err());
    }
}
