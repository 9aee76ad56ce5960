//! AbbreviatedData (GB/T 33190 clause 9.2): the outline of a path.

use tiny_skia::{Path, PathBuilder};

use super::values::number;

/// An outline, and whether the data was understood to its end.
pub struct Outline {
    /// `None` when there is nothing to draw.
    pub path: Option<Path>,
    /// Whether every operator was one of the standard's with all its numbers.
    pub whole: bool,
}

/// Reads `S M L Q B A C` with their operands. Stops at the first that is wrong; what came before is drawn.
pub fn outline(data: &str) -> Outline {
    let mut reader = Reader {
        parts: data.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty()),
        at: (0.0, 0.0),
        open: false,
    };
    let mut builder = PathBuilder::new();
    let mut whole = true;
    while let Some(operator) = reader.parts.next() {
        if reader.apply(operator, &mut builder).is_none() {
            whole = false;
            break;
        }
    }
    Outline { path: builder.finish(), whole }
}

struct Reader<I> {
    parts: I,
    at: (f32, f32),
    /// A subpath has been begun.
    open: bool,
}

impl<'a, I: Iterator<Item = &'a str>> Reader<I> {
    fn point(&mut self) -> Option<(f32, f32)> {
        Some((number(self.parts.next()?)?, number(self.parts.next()?)?))
    }

    /// A line or curve without a start begins where the last one ended.
    fn begin(&mut self, builder: &mut PathBuilder) {
        if !self.open {
            builder.move_to(self.at.0, self.at.1);
            self.open = true;
        }
    }

    fn apply(&mut self, operator: &str, builder: &mut PathBuilder) -> Option<()> {
        match operator {
            "S" | "M" => {
                self.at = self.point()?;
                builder.move_to(self.at.0, self.at.1);
                self.open = true;
            }
            "L" => {
                let to = self.point()?;
                self.begin(builder);
                builder.line_to(to.0, to.1);
                self.at = to;
            }
            "Q" => {
                let (control, to) = (self.point()?, self.point()?);
                self.begin(builder);
                builder.quad_to(control.0, control.1, to.0, to.1);
                self.at = to;
            }
            "B" => {
                let (a, b, to) = (self.point()?, self.point()?, self.point()?);
                self.begin(builder);
                builder.cubic_to(a.0, a.1, b.0, b.1, to.0, to.1);
                self.at = to;
            }
            "A" => {
                let radii = self.point()?;
                let angle = number(self.parts.next()?)?;
                let (large, sweep) = (number(self.parts.next()?)? != 0.0, number(self.parts.next()?)? != 0.0);
                let to = self.point()?;
                self.begin(builder);
                arc(builder, self.at, radii, angle, large, sweep, to);
                self.at = to;
            }
            "C" => {
                if self.open {
                    builder.close();
                    self.open = false;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// An elliptical arc between two points, as cubic curves of at most a quarter each (the conversion of SVG 1.1 appendix F.6).
fn arc(builder: &mut PathBuilder, from: (f32, f32), radii: (f32, f32), degrees: f32, large: bool, sweep: bool, to: (f32, f32)) {
    let (x1, y1, x2, y2) = (f64::from(from.0), f64::from(from.1), f64::from(to.0), f64::from(to.1));
    let (mut rx, mut ry) = (f64::from(radii.0).abs(), f64::from(radii.1).abs());
    if rx < 1e-9 || ry < 1e-9 || from == to {
        builder.line_to(to.0, to.1);
        return;
    }
    let (sin, cos) = f64::from(degrees).to_radians().sin_cos();
    let (dx, dy) = ((x1 - x2) / 2.0, (y1 - y2) / 2.0);
    let (px, py) = (cos * dx + sin * dy, cos * dy - sin * dx);
    let reach = (px / rx).powi(2) + (py / ry).powi(2);
    if reach > 1.0 {
        (rx, ry) = (rx * reach.sqrt(), ry * reach.sqrt());
    }
    let (a, b) = ((rx * py).powi(2), (ry * px).powi(2));
    let factor = (((rx * ry).powi(2) - a - b).max(0.0) / (a + b)).sqrt() * if large == sweep { -1.0 } else { 1.0 };
    let (cx, cy) = (factor * rx * py / ry, -factor * ry * px / rx);
    let (centre_x, centre_y) = (cos * cx - sin * cy + (x1 + x2) / 2.0, sin * cx + cos * cy + (y1 + y2) / 2.0);
    let start = ((py - cy) / ry).atan2((px - cx) / rx);
    let mut turn = ((-py - cy) / ry).atan2((-px - cx) / rx) - start;
    let full = std::f64::consts::TAU;
    if sweep && turn < 0.0 {
        turn += full;
    } else if !sweep && turn > 0.0 {
        turn -= full;
    }
    let pieces = (turn.abs() / std::f64::consts::FRAC_PI_2).ceil().max(1.0);
    let step = turn / pieces;
    let pull = 4.0 / 3.0 * (step / 4.0).tan();
    let place =
        |x: f64, y: f64| ((centre_x + cos * x * rx - sin * y * ry) as f32, (centre_y + sin * x * rx + cos * y * ry) as f32);
    for piece in 0..pieces as u32 {
        let (s0, c0) = (start + step * f64::from(piece)).sin_cos();
        let (s1, c1) = (start + step * f64::from(piece + 1)).sin_cos();
        let (a, b, end) = (place(c0 - pull * s0, s0 + pull * c0), place(c1 + pull * s1, s1 - pull * c1), place(c1, s1));
        builder.cubic_to(a.0, a.1, b.0, b.1, end.0, end.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(data: &str) -> [f32; 4] {
        let path = outline(data).path.unwrap().compute_tight_bounds().unwrap();
        [path.left(), path.top(), path.right(), path.bottom()]
    }

    #[test]
    fn every_operator_moves_the_pen() {
        assert_eq!(bounds("S 1 1 M 0 0 L 10 0 L 10 5 C L 3 4"), [0.0, 0.0, 10.0, 5.0]);
        assert_eq!(bounds("M 0 0 B 0 4 8 4 8 0"), [0.0, 0.0, 8.0, 3.0]);
        assert_eq!(bounds("M 0 0 Q 4 4 8 0"), [0.0, 0.0, 8.0, 2.0]);
    }

    #[test]
    fn half_circle_bulges_by_its_radius_on_the_side_of_its_sweep() {
        let [_, top, right, bottom] = bounds("M 0 0 A 5 5 0 0 1 10 0");
        assert!((top + 5.0).abs() < 0.01 && bottom.abs() < 0.01 && (right - 10.0).abs() < 0.01, "{top} {bottom}");
        let [_, top, _, bottom] = bounds("M 0 0 A 5 5 0 0 0 10 0");
        assert!(top.abs() < 0.01 && (bottom - 5.0).abs() < 0.01, "{top} {bottom}");
        let [_, top, ..] = bounds("M 0 0 A 5 5 0 1 1 6 0");
        assert!((top + 9.0).abs() < 0.02, "{top}");
    }

    #[test]
    fn what_is_wrong_ends_the_path_and_is_told() {
        for data in ["M 0 0 L 5 5 X 1 1", "M 0 0 L 5 5 L 1", "M 0 0 L 5 5 L NaN 3"] {
            let outline = outline(data);
            assert!(!outline.whole, "{data}");
            assert_eq!(outline.path.unwrap().len(), 2, "{data}");
        }
    }
}
