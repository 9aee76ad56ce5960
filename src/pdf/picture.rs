//! A seal's picture as an image XObject (ISO 32000-1 8.9.5). JPEG goes in as it is; PNG, GIF and BMP are decoded and compressed again,
//! their transparency as a soft mask. SVG and packages (OFD) need a renderer, which is not here: they come as the PNG that one made.

use std::io::{Cursor, Write as _};

use crate::ses::PictureFormat;

use super::{Dict, Object, ObjectId, PdfError, write::Update};

/// Most pixels of a picture: a seal of 45 mm at 600 dpi has 1.1 million. Four bytes each are in memory.
pub const MAX_PICTURE_PIXELS: u32 = 4_000_000;

/// Why a picture cannot be drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The bytes are not what their beginning says.
    #[error("the picture does not decode")]
    Broken,
    /// SVG, a package, or nothing known.
    #[error("pictures of this kind ({0:?}) must be drawn before they can be put into PDF")]
    Kind(PictureFormat),
    /// More than four million pixels, or none.
    #[error("the picture has too many pixels, or none")]
    Size,
}

/// A picture, decoded as far as PDF needs.
#[derive(Debug)]
pub(super) struct Image {
    width: u32,
    height: u32,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// A whole JPEG file; number of components, and whether they are inverted (Adobe's CMYK).
    Jpeg { bytes: Vec<u8>, components: u8, inverted: bool },
    /// RGB, and alpha where it is not all opaque.
    Pixels { rgb: Vec<u8>, alpha: Option<Vec<u8>> },
}

impl Image {
    /// Reads a picture; its first bytes decide what it is.
    pub fn read(bytes: &[u8]) -> Result<Self, PictureError> {
        match PictureFormat::of(bytes) {
            PictureFormat::Png => png(bytes),
            PictureFormat::Gif => gif(bytes),
            PictureFormat::Bmp => bmp(bytes).ok_or(PictureError::Broken).and_then(|image| image),
            PictureFormat::Jpeg => jpeg(bytes),
            other => Err(PictureError::Kind(other)),
        }
    }

    /// Width by height.
    pub fn ratio(&self) -> f64 {
        f64::from(self.width) / f64::from(self.height)
    }

    /// Whether white paper of the picture would hide what is under it: then it is multiplied onto the page.
    pub fn is_opaque(&self) -> bool {
        matches!(self.data, Data::Jpeg { .. } | Data::Pixels { alpha: None, .. })
    }

    /// Writes the image XObject; gives its number.
    pub fn write(&self, update: &mut Update) -> Result<ObjectId, PdfError> {
        let mut dict = Dict::default();
        dict.put("Type", "XObject").put("Subtype", "Image").put("BitsPerComponent", Object::Integer(8));
        dict.put("Width", i64::from(self.width)).put("Height", i64::from(self.height));
        match &self.data {
            Data::Jpeg { bytes, components, inverted } => {
                let space =
                    ["DeviceGray", "DeviceRGB", "DeviceCMYK"][usize::from(components.saturating_sub(1)).div_ceil(2).min(2)];
                dict.put("ColorSpace", space).put("Filter", "DCTDecode");
                if *inverted {
                    let decode = [1, 0].into_iter().cycle().take(2 * usize::from(*components));
                    dict.put("Decode", decode.map(Object::Integer).collect::<Vec<_>>());
                }
                let id = update.reserve();
                update.stream(id, dict, bytes);
                Ok(id)
            }
            Data::Pixels { rgb, alpha } => {
                dict.put("Filter", "FlateDecode");
                if let Some(alpha) = alpha {
                    let mut mask = dict.clone();
                    mask.put("ColorSpace", "DeviceGray");
                    let id = update.reserve();
                    update.stream(id, mask, &deflate(alpha)?);
                    dict.put("SMask", id);
                }
                dict.put("ColorSpace", "DeviceRGB");
                let id = update.reserve();
                update.stream(id, dict, &deflate(rgb)?);
                Ok(id)
            }
        }
    }

    fn from_rgba(width: u32, height: u32, rgba: &[u8]) -> Self {
        let rgb = rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        let alpha: Vec<u8> = rgba.chunks_exact(4).map(|pixel| pixel[3]).collect();
        let alpha = alpha.iter().any(|a| *a != 255).then_some(alpha);
        Self { width, height, data: Data::Pixels { rgb, alpha } }
    }
}

pub(super) fn deflate(bytes: &[u8]) -> Result<Vec<u8>, PdfError> {
    let mut deflater = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    deflater.write_all(bytes)?;
    Ok(deflater.finish()?)
}

fn checked(width: u32, height: u32) -> Result<usize, PictureError> {
    let pixels = u64::from(width) * u64::from(height);
    if (1..=u64::from(MAX_PICTURE_PIXELS)).contains(&pixels) { Ok(pixels as usize) } else { Err(PictureError::Size) }
}

fn png(bytes: &[u8]) -> Result<Image, PictureError> {
    let broken = |_| PictureError::Broken;
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: 32 << 20 });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16 | png::Transformations::ALPHA);
    let (width, height) = {
        let header = decoder.read_header_info().map_err(broken)?;
        (header.width, header.height)
    };
    let pixels = checked(width, height)?;
    let mut reader = decoder.read_info().map_err(broken)?;
    let size = reader.output_buffer_size().filter(|size| *size <= 4 * pixels).ok_or(PictureError::Size)?;
    let mut buffer = vec![0; size];
    let frame = reader.next_frame(&mut buffer).map_err(broken)?;
    if frame.width != width || frame.height != height {
        return Err(PictureError::Broken);
    }
    match frame.color_type {
        png::ColorType::Rgba => Ok(Image::from_rgba(width, height, &buffer)),
        png::ColorType::GrayscaleAlpha => {
            let rgba: Vec<u8> = buffer.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect();
            Ok(Image::from_rgba(width, height, &rgba))
        }
        _ => Err(PictureError::Broken),
    }
}

fn gif(bytes: &[u8]) -> Result<Image, PictureError> {
    let broken = |_| PictureError::Broken;
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let limit =
        std::num::NonZeroU64::new(4 * u64::from(MAX_PICTURE_PIXELS)).map_or(gif::MemoryLimit::Unlimited, gif::MemoryLimit::Bytes);
    options.set_memory_limit(limit);
    let mut decoder = options.read_info(bytes).map_err(broken)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let pixels = checked(width, height)?;
    // The first frame, on a canvas that is transparent where the frame does not reach.
    let frame = decoder.read_next_frame().map_err(broken)?.ok_or(PictureError::Broken)?;
    let mut rgba = vec![0; 4 * pixels];
    let (left, top, frame_width) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    if frame_width == 0 {
        return Err(PictureError::Broken);
    }
    let visible = frame_width.min((width as usize).saturating_sub(left));
    for (y, row) in frame.buffer.chunks_exact(4 * frame_width).enumerate().take((height as usize).saturating_sub(top)) {
        let at = 4 * ((top + y) * width as usize + left);
        rgba[at..at + 4 * visible].copy_from_slice(&row[..4 * visible]);
    }
    Ok(Image::from_rgba(width, height, &rgba))
}

/// Uncompressed bitmaps of 1, 4, 8, 24 and 32 bits a pixel. `None` where the file is cut short.
fn bmp(bytes: &[u8]) -> Option<Result<Image, PictureError>> {
    let le = |at: usize, len: usize| Some(bytes.get(at..at + len)?.iter().rev().fold(0u32, |n, b| n << 8 | u32::from(*b)));
    let (data, header) = (le(10, 4)? as usize, le(14, 4)? as usize);
    let (width, height) = (le(18, 4)?, le(22, 4)? as i32);
    let (bits, compression) = (le(28, 2)? as usize, le(30, 4)?);
    let top_down = height < 0;
    let height = height.unsigned_abs();
    let pixels = match checked(width, height) {
        Ok(pixels) => pixels,
        Err(error) => return Some(Err(error)),
    };
    // With bit fields only the usual order is read, blue first; the fourth byte is alpha where the header says so.
    let masks = || Some([le(54, 4)?, le(58, 4)?, le(62, 4)?] == [0xff_0000, 0xff00, 0xff]);
    let alpha = compression == 3 && header >= 56 && le(66, 4)? == 0xff00_0000;
    if header < 40 || !matches!(bits, 1 | 4 | 8 | 24 | 32) || !(compression == 0 || (compression == 3 && bits == 32 && masks()?))
    {
        return Some(Err(PictureError::Broken));
    }
    let palette = bytes.get(14 + header..).unwrap_or_default();
    let stride = (width as usize * bits).div_ceil(32) * 4;
    let mut rgba = Vec::with_capacity(4 * pixels);
    for y in 0..height as usize {
        let row = if top_down { y } else { height as usize - 1 - y };
        let start = data.checked_add(row.checked_mul(stride)?)?;
        let row = bytes.get(start..start.checked_add(stride)?)?;
        for x in 0..width as usize {
            let (bgr, a) = match bits {
                24 => (&row[3 * x..3 * x + 3], 255),
                32 => (&row[4 * x..4 * x + 3], if alpha { row[4 * x + 3] } else { 255 }),
                _ => {
                    let shift = 8 - bits - (x * bits) % 8;
                    let index = usize::from(row[x * bits / 8] >> shift) & ((1 << bits) - 1);
                    (palette.get(4 * index..4 * index + 3)?, 255)
                }
            };
            rgba.extend([bgr[2], bgr[1], bgr[0], a]);
        }
    }
    Some(Ok(Image::from_rgba(width, height, &rgba)))
}

/// Reads the frame header only: readers of PDF decode JPEG themselves.
fn jpeg(bytes: &[u8]) -> Result<Image, PictureError> {
    let mut at = 2;
    let mut adobe = false;
    loop {
        let [0xff, marker, high, low] = *bytes.get(at..at + 4).ok_or(PictureError::Broken)? else {
            return Err(PictureError::Broken);
        };
        let len = usize::from(high) << 8 | usize::from(low);
        let segment = bytes.get(at + 4..at + 2 + len.max(2)).ok_or(PictureError::Broken)?;
        match (marker, segment) {
            (0xff, _) => {
                at += 1;
                continue;
            }
            (0xee, segment) => adobe |= segment.starts_with(b"Adobe"),
            // Baseline, extended, progressive: what DCTDecode reads.
            (0xc0..=0xc2, [8, h1, h2, w1, w2, components @ (1 | 3 | 4), ..]) => {
                let (height, width) = (u32::from(*h1) << 8 | u32::from(*h2), u32::from(*w1) << 8 | u32::from(*w2));
                checked(width, height)?;
                let inverted = adobe && *components == 4;
                return Ok(Image {
                    width,
                    height,
                    data: Data::Jpeg { bytes: bytes.to_vec(), components: *components, inverted },
                });
            }
            (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xd8..=0xda, _) => return Err(PictureError::Broken),
            _ => {}
        }
        at += 2 + len.max(2);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pixels(image: &Image) -> (u32, u32, &[u8], Option<&[u8]>) {
        match &image.data {
            Data::Pixels { rgb, alpha } => (image.width, image.height, rgb, alpha.as_deref()),
            Data::Jpeg { .. } => panic!("not decoded"),
        }
    }

    /// Two pixels: red half transparent, blue.
    pub fn sample_png() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().unwrap().write_image_data(&[255, 0, 0, 128, 0, 0, 255, 255]).unwrap();
        bytes
    }

    #[test]
    fn png_keeps_its_transparency() {
        let image = Image::read(&sample_png()).unwrap();
        assert_eq!(pixels(&image), (2, 1, [255, 0, 0, 0, 0, 255].as_slice(), Some([128, 255].as_slice())));
        assert!(!image.is_opaque());
    }

    #[test]
    fn gif_is_transparent_outside_its_frame() {
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, 2, 1, &[9, 8, 7, 0, 0, 0]).unwrap();
        let frame = gif::Frame { width: 1, height: 1, left: 1, buffer: vec![0].into(), ..gif::Frame::default() };
        encoder.write_frame(&frame).unwrap();
        drop(encoder);
        let image = Image::read(&bytes).unwrap();
        assert_eq!(pixels(&image), (2, 1, [0, 0, 0, 9, 8, 7].as_slice(), Some([0, 255].as_slice())));
    }

    /// By hand from the format's description: two rows, bottom first, rows padded to four bytes.
    #[test]
    fn bmp_of_24_and_8_bits_is_read() {
        let file = |bits: u8, palette: &[u8], rows: &[u8]| {
            let mut bytes = b"BM".to_vec();
            bytes.extend([0; 8]);
            bytes.extend((54 + palette.len() as u32).to_le_bytes());
            bytes.extend([40, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, bits, 0]);
            bytes.extend([0; 24]);
            [bytes.as_slice(), palette, rows].concat()
        };
        let image = Image::read(&file(24, &[], &[1, 2, 3, 0, 4, 5, 6, 0])).unwrap();
        assert_eq!(pixels(&image), (1, 2, [6, 5, 4, 3, 2, 1].as_slice(), None));
        let image = Image::read(&file(8, &[1, 2, 3, 0, 4, 5, 6, 0], &[1, 0, 0, 0, 0, 0, 0, 0])).unwrap();
        assert_eq!(pixels(&image), (1, 2, [3, 2, 1, 6, 5, 4].as_slice(), None));
        assert_eq!(Image::read(&file(24, &[], &[1, 2, 3, 0])).unwrap_err(), PictureError::Broken);
    }

    #[test]
    fn jpeg_frame_is_read_and_lossless_refused() {
        let head = |sof: u8, components: u8| {
            let mut bytes = b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0".to_vec();
            bytes.extend([0xff, sof, 0, 8 + 3 * components, 8, 0, 2, 0, 3, components]);
            bytes.resize(bytes.len() + 40, 0);
            bytes
        };
        for (components, inverts) in [(1, false), (3, false), (4, true)] {
            let image = Image::read(&head(0xc2, components)).unwrap();
            assert_eq!((image.width, image.height), (3, 2));
            assert!(matches!(image.data, Data::Jpeg { inverted, .. } if inverted == inverts));
        }
        assert_eq!(Image::read(&head(0xc3, 3)).unwrap_err(), PictureError::Broken);
    }

    #[test]
    fn bombs_and_other_kinds_are_refused() {
        let mut png = sample_png();
        png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let crc = {
            let mut crc = flate2::Crc::new();
            crc.update(&png[12..29]);
            crc.sum()
        };
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(Image::read(&png).unwrap_err(), PictureError::Size);
        assert_eq!(Image::read(b"<svg/>").unwrap_err(), PictureError::Kind(PictureFormat::Svg));
        assert_eq!(Image::read(b"").unwrap_err(), PictureError::Kind(PictureFormat::Unknown));
    }

    proptest! {
        #[test]
        fn broken_pictures_never_panic(
            head in prop::sample::select(vec![b"BM".to_vec(), b"GIF89a".to_vec(), b"\xff\xd8\xff".to_vec(), sample_png()]),
            tail in prop::collection::vec(any::<u8>(), 0..120),
            flip in any::<prop::sample::Index>(),
        ) {
            let mut bytes = [head, tail].concat();
            let _ = Image::read(&bytes);
            let at = flip.index(bytes.len());
            bytes[at] ^= 0x55;
            let _ = Image::read(&bytes);
        }
    }
}
