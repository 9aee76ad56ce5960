//! Pictures in the window: PNG, decoded within limits, scaled by area so that page text stays readable.

use egui::{Color32, ColorImage, TextureHandle, TextureOptions, Ui, accesskit};
use sealagent::question::Picture;

/// Most pixels of a picture; a page at 144 dpi has 2 million, a seal at 600 dpi 1 million.
const MAX_PIXELS: usize = 16 << 20;

/// A decoded picture and its texture at the size last shown.
pub struct Shown {
    image: ColorImage,
    texture: Option<(usize, TextureHandle)>,
}

impl Shown {
    /// `None` for anything that is not a PNG picture within the limits; the window then says that there is none.
    pub fn decode(picture: &Picture) -> Option<Self> {
        let mut decoder =
            png::Decoder::new_with_limits(std::io::Cursor::new(&picture.png.0), png::Limits { bytes: MAX_PIXELS * 8 });
        decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
        let mut reader = decoder.read_info().ok()?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        if width.checked_mul(height).is_none_or(|n| n == 0 || n > MAX_PIXELS) {
            return None;
        }
        let mut pixels = vec![0; reader.output_buffer_size()?];
        let frame = reader.next_frame(&mut pixels).ok()?;
        let pixels = pixels.get(..frame.buffer_size())?;
        let rgba: Vec<Color32> = match frame.color_type {
            png::ColorType::Rgba => {
                pixels.chunks_exact(4).map(|p| Color32::from_rgba_unmultiplied(p[0], p[1], p[2], p[3])).collect()
            }
            png::ColorType::GrayscaleAlpha => {
                pixels.chunks_exact(2).map(|p| Color32::from_rgba_unmultiplied(p[0], p[0], p[0], p[1])).collect()
            }
            _ => return None,
        };
        Some(Self { image: ColorImage::new([width, height], rgba), texture: None })
    }

    /// Draws it at most `height` points high and as wide as there is room, on white paper, with a name for screen readers.
    pub fn show(&mut self, ui: &mut Ui, height: f32, name: &str) {
        let [w, h] = self.image.size;
        let points = height.min(ui.available_width() * h as f32 / w as f32).max(1.0);
        let rows = ((points * ui.ctx().pixels_per_point()) as usize).clamp(1, h);
        if self.texture.as_ref().is_none_or(|(shown, _)| *shown != rows) {
            let small = shrink(&self.image, rows);
            self.texture = Some((rows, ui.ctx().load_texture("picture", small, TextureOptions::LINEAR)));
        }
        let Some((_, texture)) = &self.texture else { return };
        let size = egui::vec2(points * w as f32 / h as f32, points);
        let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
        ui.painter().rect_filled(rect, 0.0, Color32::WHITE);
        ui.painter().image(
            texture.id(),
            rect,
            egui::Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0)),
            Color32::WHITE,
        );
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_role(accesskit::Role::Image);
            node.set_label(name);
        });
    }
}

/// The picture in `rows` rows, each pixel the mean of the area it stands for.
fn shrink(image: &ColorImage, rows: usize) -> ColorImage {
    let [w, h] = image.size;
    let columns = (w * rows / h).clamp(1, w);
    let mut out = Vec::with_capacity(columns * rows);
    for y in 0..rows {
        let ys = y * h / rows..((y + 1) * h).div_ceil(rows).min(h);
        for x in 0..columns {
            let xs = x * w / columns..((x + 1) * w).div_ceil(columns).min(w);
            let mut sum = [0u32; 4];
            for row in ys.clone() {
                for pixel in &image.pixels[row * w + xs.start..row * w + xs.end] {
                    sum.iter_mut().zip(pixel.to_array()).for_each(|(s, c)| *s += u32::from(c));
                }
            }
            let n = (ys.len() * xs.len()) as u32;
            let [r, g, b, a] = sum.map(|s| (s / n) as u8);
            out.push(Color32::from_rgba_premultiplied(r, g, b, a));
        }
    }
    ColorImage::new([columns, rows], out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_takes_the_mean() {
        let (white, black) = (Color32::WHITE, Color32::BLACK);
        let image = ColorImage::new([2, 2], vec![white, black, black, white]);
        assert_eq!(shrink(&image, 1).pixels, [Color32::from_rgba_premultiplied(127, 127, 127, 255)]);
        assert_eq!(shrink(&image, 2).pixels, image.pixels);
    }

    #[test]
    fn what_is_no_picture_gives_none() {
        for bytes in [b"".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec(), vec![0xff; 100]] {
            assert!(Shown::decode(&Picture { png: ukey::wire::Bytes(bytes) }).is_none());
        }
    }
}
