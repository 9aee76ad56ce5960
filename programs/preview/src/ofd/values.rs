//! The simple types of GB/T 33190 clause 7.3, read leniently: what real producers write.

use tiny_skia::Transform;

/// Numbers of one array. A text has at most two a character.
const MAX_NUMBERS: usize = 200_000;
/// Largest magnitude of a number: a kilometre in mm. Beyond it single precision loses whole millimetres.
const MAX_NUMBER: f32 = 1e6;

/// A number that can be drawn with.
pub fn number(text: &str) -> Option<f32> {
    text.trim().parse().ok().filter(|number: &f32| number.abs() <= MAX_NUMBER)
}

/// ST_Array of numbers; separated by white space, by some with commas. `None` when one is none.
pub fn numbers(text: &str) -> Option<Vec<f32>> {
    text.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty()).take(MAX_NUMBERS).map(number).collect()
}

/// A boolean attribute.
pub fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "1")
}

/// ST_Box: x, y, width, height, none of which need be sensible.
pub fn area(text: &str) -> Option<[f32; 4]> {
    numbers(text)?.try_into().ok()
}

/// CTM: a b c d e f. `None` when it is no matrix of six numbers.
pub fn matrix(text: &str) -> Option<Transform> {
    let [a, b, c, d, e, f] = numbers(text)?.try_into().ok()?;
    Some(Transform::from_row(a, b, c, d, e, f))
}

/// DeltaX, DeltaY: numbers, with `g n v` for n times v. No more than `most` are made, whatever the file says.
pub fn deltas(text: &str, most: usize) -> Option<Vec<f32>> {
    let mut out = Vec::new();
    let mut parts = text.split_ascii_whitespace();
    while out.len() < most {
        match parts.next() {
            None => break,
            Some("g" | "G") => {
                let times: u64 = parts.next()?.parse().ok()?;
                let value = number(parts.next()?)?;
                let room = most - out.len();
                out.resize(out.len() + usize::try_from(times).map_or(room, |times| times.min(room)), value);
            }
            Some(part) => out.push(number(part)?),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_never_make_more_than_there_are_characters() {
        assert_eq!(deltas("g 2 1.5 3 g 1 -2", 10).unwrap(), [1.5, 1.5, 3.0, -2.0]);
        assert_eq!(deltas("g 2000000000 1", 3).unwrap(), [1.0; 3]);
        assert_eq!(deltas("g 99999999999999999999 1", 3), None);
        assert_eq!(deltas("1 x", 3), None);
    }

    #[test]
    fn numbers_that_cannot_be_drawn_are_none() {
        for text in ["NaN", "inf", "1e30", "", "1 2"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(numbers("1,2 3").unwrap(), [1.0, 2.0, 3.0]);
        assert_eq!(area("0 0 -3 5").unwrap(), [0.0, 0.0, -3.0, 5.0]);
    }
}
