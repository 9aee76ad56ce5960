//! Text of strangers made fit to be shown to a person who decides by it: file names, titles, labels of tokens, names in certificates.

/// Longest text that is shown in one line, in characters.
pub const MAX_CHARACTERS: usize = 120;

/// The text in one line: control, format and bidirectional characters become visible (`‹U+202E›`), runs of combining marks are cut,
/// and what is over-long loses its middle, since start and end (a suffix) are what people look at.
pub fn line(text: &str) -> String {
    within(text, MAX_CHARACTERS)
}

/// As [`line`], with room for `most` characters of the text.
pub fn within(text: &str, most: usize) -> String {
    let characters = text.chars().count();
    let mut out = String::new();
    let mut marks = 0;
    for (i, c) in text.chars().enumerate() {
        if characters > most {
            let (head, tail) = (most * 2 / 3, most / 3);
            if i == head {
                out.push_str(&format!("…(+{})…", characters - head - tail));
            }
            if i >= head && i < characters - tail {
                continue;
            }
        }
        marks = if is_combining(c) { marks + 1 } else { 0 };
        match c {
            _ if marks > 2 => {}
            c if is_invisible(c) => out.push_str(&format!("‹U+{:04X}›", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// An origin is never cut at its right end, which is the part that counts: what is over-long loses its middle.
pub fn origin(text: &str) -> String {
    let characters = text.chars().count();
    let head = MAX_CHARACTERS / 4;
    if characters <= MAX_CHARACTERS {
        return line(text);
    }
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(characters - (MAX_CHARACTERS - head)).collect();
    format!("{}…{}", line(&start), line(&end))
}

/// Controls, line ends, bidirectional and zero-width format characters, variation selectors, tags, private use, unusual spaces.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack item 27.
    #[test]
    fn bidi_control_and_line_ends_become_visible() {
        assert_eq!(line("contract\u{202e}fdo.exe"), "contract‹U+202E›fdo.exe");
        assert_eq!(line("a\r\nOrigin: b\x1b[2J"), "a‹U+000D›‹U+000A›Origin: b‹U+001B›[2J");
        assert_eq!(line("采购合同.ofd"), "采购合同.ofd");
        assert_eq!(line("<b>x</b>"), "<b>x</b>");
    }

    #[test]
    fn long_text_keeps_both_ends() {
        let shown = line(&format!("{}.ofd", "长".repeat(10_000)));
        assert!(shown.chars().count() < MAX_CHARACTERS + 12, "{shown}");
        assert!(shown.starts_with('长') && shown.ends_with(".ofd") && shown.contains("…(+9884)…"), "{shown}");
    }

    #[test]
    fn piles_of_marks_are_cut() {
        assert_eq!(line(&format!("e{}x", "\u{0301}".repeat(50))).chars().count(), 4);
    }

    #[test]
    fn long_origin_keeps_its_right_end() {
        let shown = origin(&format!("https://{}.evil.example", "gov.cn.".repeat(100)));
        assert!(shown.starts_with("https://") && shown.ends_with(".evil.example"), "{shown}");
        assert!(shown.chars().count() <= MAX_CHARACTERS + 1);
    }
}
