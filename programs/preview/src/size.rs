//! How many pixels a page gets.

use sealagent::preview::{MAX_PIXELS, MAX_SIDE};

/// Pixels that a page is drawn with, and how many there are to a mm.
pub(crate) struct Sized {
    pub width: u32,
    pub height: u32,
    pub scale: f32,
}

/// The size of a picture of a page of that many mm: as many dots per inch as asked, fewer where that would be too many pixels. An
/// error for a page that cannot be drawn at all.
pub(crate) fn size([width, height]: [f64; 2], dpi: f32, max_pixels: u32) -> Result<Sized, String> {
    let most = f64::from(max_pixels.clamp(1, MAX_PIXELS));
    let side = f64::from(MAX_SIDE);
    let dpi = f64::from(dpi);
    if !(width.is_finite() && height.is_finite() && width > 0.0 && height > 0.0 && dpi.is_finite() && dpi > 0.0) {
        return Err(format!("a page of {width} × {height} mm at {dpi} dpi"));
    }
    let mut scale = (dpi / 25.4).min((most / (width * height)).sqrt()).min(side / width.max(height));
    let pixels = |scale: f64| [width, height].map(|mm| (mm * scale - 0.01).ceil().max(1.0));
    // Rounding up may add a row too many.
    while pixels(scale)[0] * pixels(scale)[1] > most {
        scale *= 0.995;
        if scale * width.max(height) < 1.0 {
            return Err(format!("a page of {width} × {height} mm"));
        }
    }
    let [across, down] = pixels(scale);
    Ok(Sized { width: across as u32, height: down as u32, scale: scale as f32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(mm: [f64; 2], dpi: f32, max_pixels: u32) -> Option<(u32, u32)> {
        size(mm, dpi, max_pixels).ok().map(|s| (s.width, s.height))
    }

    #[test]
    fn pages_get_the_pixels_asked_for_and_never_more() {
        assert_eq!(sized([210.0, 297.0], 144.0, MAX_PIXELS), Some((1191, 1684)));
        let (width, height) = sized([210.0, 297.0], 2400.0, u32::MAX).unwrap();
        assert!(width * height <= MAX_PIXELS && width * height > MAX_PIXELS * 9 / 10, "{width} × {height}");
        let (width, height) = sized([1e6, 1e6], 144.0, 1_000_000).unwrap();
        assert!(width * height <= 1_000_000);
        assert!(sized([1e9, 0.001], 144.0, MAX_PIXELS).is_some_and(|(w, h)| w <= MAX_SIDE && h == 1));
        for (mm, dpi) in [([0.0, 5.0], 72.0), ([f64::NAN, 5.0], 72.0), ([5.0, 5.0], 0.0), ([5.0, 5.0], f32::INFINITY)] {
            assert_eq!(sized(mm, dpi, MAX_PIXELS), None);
        }
    }
}
