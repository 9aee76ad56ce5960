//! Colours and shadings (GB/T 33190 clause 8.3) as paint.

use sealagent::ofd::Element;
use sealagent::preview::FindingKind;
use tiny_skia::{Color, GradientStop, LinearGradient, Point, RadialGradient, Shader, SpreadMode, Transform};

use super::resources::{ColorSpace, SpaceKind};
use super::values::{number, numbers};
use super::walk::Walk;

/// Stops of one shading.
const MAX_STOPS: usize = 256;

impl Walk<'_> {
    /// The paint of a `FillColor` or `StrokeColor`, made more transparent by `alpha`. What cannot be painted as asked is painted in
    /// grey, so that the shape is seen, and told.
    pub(super) fn paint_of(&mut self, color: &Element, alpha: f32, object: &str) -> Shader<'static> {
        let alpha = alpha * opacity(color.attribute("Alpha"));
        for child in &color.children {
            let shader = match &*child.name {
                "AxialShd" => self.axial(child, alpha),
                "RadialShd" => self.radial(child, alpha),
                "Pattern" | "GouraudShd" | "LaGouraudShd" | "LaGourandShd" => None,
                _ => continue,
            };
            return shader.unwrap_or_else(|| {
                self.findings.add(Some(object), FindingKind::ObjectSkipped { what: format!("the shading {}", child.name) });
                Shader::SolidColor(with_alpha([0.5; 3], alpha))
            });
        }
        Shader::SolidColor(self.color(color, alpha, object))
    }

    fn color(&mut self, color: &Element, alpha: f32, object: &str) -> Color {
        let space = color.attribute("ColorSpace").and_then(|id| self.find(|r| r.spaces.get(id.trim()).cloned()));
        let from_palette =
            color.attribute("Index").and_then(|index| space.as_ref()?.palette.get(index.trim().parse::<usize>().ok()?).cloned());
        let value = from_palette.as_deref().or(color.attribute("Value"));
        let Some(value) = value else { return with_alpha([0.0; 3], alpha) };
        match rgb(value, space.as_deref()) {
            Some(rgb) => with_alpha(rgb, alpha),
            None => {
                let what = format!("the colour \"{}\" as black", crate::findings::shorten(value));
                self.findings.add(Some(object), FindingKind::DrawnOtherwise { what });
                with_alpha([0.0; 3], alpha)
            }
        }
    }

    fn stops(&mut self, shading: &Element, alpha: f32) -> Option<Vec<GradientStop>> {
        let mut stops: Vec<(Option<f32>, Color)> = Vec::new();
        for segment in shading.all("Segment").take(MAX_STOPS) {
            let color = segment.all("Color").next()?;
            let alpha = alpha * opacity(color.attribute("Alpha"));
            let color = self.color(color, alpha, "");
            stops.push((segment.attribute("Position").and_then(number), color));
        }
        let last = stops.len().checked_sub(1)? as f32;
        // Without positions the segments are spread evenly.
        let position =
            |n: usize, given: Option<f32>| given.unwrap_or(if last == 0.0 { 0.0 } else { n as f32 / last }).clamp(0.0, 1.0);
        Some(stops.into_iter().enumerate().map(|(n, (given, color))| GradientStop::new(position(n, given), color)).collect())
    }

    fn axial(&mut self, shading: &Element, alpha: f32) -> Option<Shader<'static>> {
        let (start, end) = (point(shading, "StartPoint")?, point(shading, "EndPoint")?);
        let stops = self.stops(shading, alpha)?;
        let end = map_unit(shading, start, end);
        LinearGradient::new(start, end, stops, spread(shading), Transform::identity())
    }

    fn radial(&mut self, shading: &Element, alpha: f32) -> Option<Shader<'static>> {
        let (start, end) = (point(shading, "StartPoint")?, point(shading, "EndPoint")?);
        let radius = |name| shading.attribute(name).and_then(number).filter(|radius| *radius >= 0.0);
        let stops = self.stops(shading, alpha)?;
        // An ellipse is a circle that is pressed flat and turned about its centre.
        let flat = shading.attribute("Eccentricity").and_then(number).filter(|e| (0.0..1.0).contains(e)).unwrap_or(0.0);
        let angle = shading.attribute("Angle").and_then(number).unwrap_or(0.0);
        let about = Transform::from_translate(end.x, end.y)
            .pre_rotate(angle)
            .pre_scale(1.0, (1.0 - flat * flat).sqrt())
            .pre_rotate(-angle)
            .pre_translate(-end.x, -end.y);
        RadialGradient::new(start, radius("StartRadius").unwrap_or(0.0), end, radius("EndRadius")?, stops, spread(shading), about)
    }
}

fn point(shading: &Element, name: &str) -> Option<Point> {
    let [x, y] = numbers(shading.attribute(name)?)?.try_into().ok()?;
    Some(Point::from_xy(x, y))
}

fn spread(shading: &Element) -> SpreadMode {
    match shading.attribute("MapType").map(str::trim) {
        Some("Repeat") => SpreadMode::Repeat,
        Some("Reflect") => SpreadMode::Reflect,
        _ => SpreadMode::Pad,
    }
}

/// Repeating shadings have a length of their own along their axis.
fn map_unit(shading: &Element, start: Point, end: Point) -> Point {
    let length = (end - start).length();
    match shading.attribute("MapUnit").and_then(number) {
        Some(unit) if unit > 0.0 && length > 0.0 && spread(shading) != SpreadMode::Pad => {
            let k = unit / length;
            Point::from_xy(start.x + (end.x - start.x) * k, start.y + (end.y - start.y) * k)
        }
        _ => end,
    }
}

/// An `Alpha` of 0 to 255 as a share; absent or unreadable is opaque.
pub(super) fn opacity(alpha: Option<&str>) -> f32 {
    alpha.and_then(number).map_or(1.0, |alpha| (alpha / 255.0).clamp(0.0, 1.0))
}

fn with_alpha([r, g, b]: [f32; 3], alpha: f32) -> Color {
    Color::from_rgba(r, g, b, alpha.clamp(0.0, 1.0)).unwrap_or(Color::BLACK)
}

/// A colour value: decimals or `#` and hexadecimal digits, one (grey), three (RGB) or four (CMYK).
fn rgb(value: &str, space: Option<&ColorSpace>) -> Option<[f32; 3]> {
    let top = (1u32 << space.map_or(8, |space| space.bits)) as f32 - 1.0;
    let channel = |part: &str| match part.strip_prefix('#') {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(|value| value as f32),
        None => number(part),
    };
    let parts: Vec<f32> = value
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|part| !part.is_empty())
        .map(|part| channel(part).map(|value| (value / top).clamp(0.0, 1.0)))
        .collect::<Option<_>>()?;
    // The number of channels decides; a colour space that says otherwise is one of another producer's slips.
    match (parts.as_slice(), space.map(|space| space.kind)) {
        ([grey], _) => Some([*grey; 3]),
        ([c, m, y, k], None | Some(SpaceKind::Cmyk)) => Some([c, m, y].map(|ink| (1.0 - ink) * (1.0 - k))),
        ([r, g, b], _) => Some([*r, *g, *b]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_as_producers_write_them() {
        assert_eq!(rgb("255 0 51", None), Some([1.0, 0.0, 0.2]));
        assert_eq!(rgb("#ff #0 #33", None), Some([1.0, 0.0, 0.2]));
        assert_eq!(rgb("0", None), Some([0.0; 3]));
        assert_eq!(rgb("0 0 0 255", None), Some([0.0; 3]));
        assert_eq!(rgb("300 0 0", None), Some([1.0, 0.0, 0.0]));
        for value in ["", "1 2", "red", "1 2 3 4 5", "#gg #0 #0"] {
            assert_eq!(rgb(value, None), None, "{value}");
        }
    }
}
