//! Image files, decoded by what their first bytes say and never by their names: PNG, JPEG, GIF, BMP.
//!
//! A picture's size is known and judged before a pixel of it is decoded.

use sealagent::ses::PictureFormat;
use tiny_skia::{IntSize, Pixmap};

/// Pixels of one image: A4 scanned at 600 dpi.
const MAX_PIXELS: usize = 36 << 20;
/// Pixels of a side.
const MAX_SIDE: usize = 30_000;

/// Decodes an image. Why not, in words, when it cannot be.
pub fn decode(bytes: &[u8]) -> Result<Pixmap, String> {
    match PictureFormat::of(bytes) {
        PictureFormat::Png => png(bytes),
        PictureFormat::Jpeg => jpeg(bytes),
        PictureFormat::Gif => gif(bytes),
        PictureFormat::Bmp => bmp(bytes).unwrap_or_else(|| Err("a BMP file that is cut or of a rare kind".to_owned())),
        other => Err(format!("images of the kind {other:?} are not drawn").to_lowercase()),
    }
}

fn check(width: usize, height: usize) -> Result<(), String> {
    match width.checked_mul(height) {
        Some(1..=MAX_PIXELS) if width <= MAX_SIDE && height <= MAX_SIDE => Ok(()),
        _ => Err(format!("{width} × {height} pixels, more than {MAX_PIXELS}, or none")),
    }
}

/// Premultiplied pixels from red, green, blue, alpha.
fn pixmap(mut rgba: Vec<u8>, width: usize, height: usize) -> Result<Pixmap, String> {
    for pixel in rgba.chunks_exact_mut(4) {
        let alpha = u16::from(pixel[3]);
        if alpha != 255 {
            pixel[..3].iter_mut().for_each(|channel| *channel = ((u16::from(*channel) * alpha + 127) / 255) as u8);
        }
    }
    let size = IntSize::from_wh(width as u32, height as u32);
    size.and_then(|size| Pixmap::from_vec(rgba, size)).ok_or_else(|| "an image without pixels".to_owned())
}

fn png(bytes: &[u8]) -> Result<Pixmap, String> {
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(bytes), png::Limits { bytes: MAX_PIXELS * 8 });
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check(width, height)?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("too many pixels")?];
    let frame = reader.next_frame(&mut pixels).map_err(|error| error.to_string())?;
    pixels.truncate(frame.buffer_size());
    let rgba = match frame.color_type {
        png::ColorType::Rgba => pixels,
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(),
        other => return Err(format!("PNG of colour type {other:?}")),
    };
    pixmap(rgba, width, height)
}

fn jpeg(bytes: &[u8]) -> Result<Pixmap, String> {
    use zune_jpeg::zune_core::bytestream::ZCursor;
    use zune_jpeg::zune_core::colorspace::ColorSpace;
    use zune_jpeg::zune_core::options::DecoderOptions;
    let options = DecoderOptions::new_fast()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .set_strict_mode(false)
        .jpeg_set_out_colorspace(ColorSpace::RGBA);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let (width, height) =
        decoder.info().map(|info| (usize::from(info.width), usize::from(info.height))).ok_or("no JPEG header")?;
    check(width, height)?;
    let mut pixels = decoder.decode().map_err(|error| error.to_string())?;
    if pixels.len() != width * height * 4 {
        return Err(format!("JPEG with {} bytes for {width} × {height} pixels", pixels.len()));
    }
    pixels.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
    pixmap(pixels, width, height)
}

/// The first picture of a GIF file.
fn gif(bytes: &[u8]) -> Result<Pixmap, String> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).map_err(|error| error.to_string())?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    check(width, height)?;
    let frame = decoder.read_next_frame().map_err(|error| error.to_string())?.ok_or("a GIF file without a picture")?;
    let mut rgba = vec![0; width * height * 4];
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let across = usize::from(frame.width).min(width.saturating_sub(left));
    for (row, line) in frame.buffer.chunks_exact(usize::from(frame.width).max(1) * 4).enumerate() {
        if top + row < height {
            let start = ((top + row) * width + left) * 4;
            rgba[start..start + across * 4].copy_from_slice(&line[..across * 4]);
        }
    }
    pixmap(rgba, width, height)
}

/// Uncompressed BMP of 1, 4, 8, 24 or 32 bits a pixel (BITMAPINFOHEADER and later). `None` when it is anything else.
fn bmp(bytes: &[u8]) -> Option<Result<Pixmap, String>> {
    let le = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (start, header) = (le(10)? as usize, le(14)? as usize);
    let (width, signed_height) = (usize::try_from(le(18)? as i32).ok()?, le(22)? as i32);
    let height = signed_height.unsigned_abs() as usize;
    let bits = usize::from(u16::from_le_bytes(bytes.get(28..30)?.try_into().ok()?));
    if header < 40 || !matches!(bits, 1 | 4 | 8 | 24 | 32) || !matches!((le(30)?, bits), (0, _) | (3, 32)) {
        return None;
    }
    if let Err(reason) = check(width, height) {
        return Some(Err(reason));
    }
    let stride = (width * bits).div_ceil(32) * 4;
    let mut rgba = vec![255; width * height * 4];
    for (row, out) in rgba.chunks_exact_mut(width * 4).enumerate() {
        let y = if signed_height < 0 { row } else { height - 1 - row };
        let line = bytes.get(start + y * stride..)?.get(..stride)?;
        for (x, pixel) in out.chunks_exact_mut(4).enumerate() {
            let colour = match bits {
                24 | 32 => line.get(x * bits / 8..)?.get(..3)?,
                _ => {
                    let (byte, shift) = (x * bits / 8, 8 - bits - x * bits % 8);
                    let index = usize::from(line[byte] >> shift) & ((1 << bits) - 1);
                    bytes.get(14 + header + index * 4..)?.get(..3)?
                }
            };
            pixel[..3].copy_from_slice(&[colour[2], colour[1], colour[0]]);
        }
    }
    Some(pixmap(rgba, width, height))
}

/// The image behind a mask of any size: where the mask is white the image shows, where it is black it does not.
pub fn masked(image: &Pixmap, mask: &Pixmap) -> Pixmap {
    let mut out = image.clone();
    let (width, height) = (image.width() as usize, image.height() as usize);
    for (y, row) in out.data_mut().chunks_exact_mut(width * 4).enumerate() {
        let mask_y = y * mask.height() as usize / height;
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let mask_x = x * mask.width() as usize / width;
            let at = (mask_y * mask.width() as usize + mask_x) * 4;
            let light = mask.data()[at..at + 3].iter().map(|channel| u16::from(*channel)).sum::<u16>() / 3;
            pixel.iter_mut().for_each(|channel| *channel = ((u16::from(*channel) * light + 127) / 255) as u8);
        }
    }
    out
}

/// The image made smaller by whole numbers until its pixels are not finer than those it will be drawn on, each the mean of those it
/// replaces: a scan keeps its thin lines. `across` and `down` are the pixels that it will cover.
pub fn shrunk(image: &Pixmap, across: f32, down: f32) -> Option<Pixmap> {
    let times = |have: u32, want: f32| ((have as f32 / want.max(1.0)).floor() as u32).clamp(1, have);
    let (fx, fy) = (times(image.width(), across), times(image.height(), down));
    if fx == 1 && fy == 1 {
        return None;
    }
    let (width, height) = (image.width().div_ceil(fx), image.height().div_ceil(fy));
    let mut out = Pixmap::new(width, height)?;
    let source = image.data();
    for (row, line) in out.data_mut().chunks_exact_mut(width as usize * 4).enumerate() {
        let ys = row as u32 * fy..((row as u32 + 1) * fy).min(image.height());
        for (column, pixel) in line.chunks_exact_mut(4).enumerate() {
            let xs = column as u32 * fx..((column as u32 + 1) * fx).min(image.width());
            let mut sum = [0u32; 4];
            for y in ys.clone() {
                let start = (y * image.width() + xs.start) as usize * 4;
                for source in source[start..start + xs.len() * 4].chunks_exact(4) {
                    sum.iter_mut().zip(source).for_each(|(sum, channel)| *sum += u32::from(*channel));
                }
            }
            let count = (xs.len() * ys.len()) as u32;
            pixel.iter_mut().zip(sum).for_each(|(channel, sum)| *channel = ((sum + count / 2) / count) as u8);
        }
    }
    Some(out)
}
