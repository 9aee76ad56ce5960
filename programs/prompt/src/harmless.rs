//! Text from pages, files, certificates and tokens, made fit to be shown to a person who decides by it.

/// Longest text shown, in characters; the rest is named by its count.
pub const MAX_SHOWN: usize = 200;

/// One line without a character that moves, hides or orders others: each control, bidirectional, zero-width or line-breaking
/// character becomes a visible `‹U+202E›`; text over [`MAX_SHOWN`] characters is cut and says so.
pub fn line(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == MAX_SHOWN {
            out.push_str(&format!("… (+{})", text.chars().count() - i));
            break;
        }
        if is_harmful(c) { out.push_str(&format!("‹U+{:04X}›", u32::from(c))) } else { out.push(c) }
    }
    out
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// An origin is never cut at its right end, which is the part that counts: the middle of an over-long host goes.
pub fn origin(text: &str) -> String {
    let count = text.chars().count();
    if count <= MAX_SHOWN {
        return line(text);
    }
    let head: String = text.chars().take(20).collect();
    let tail: String = text.chars().skip(count - (MAX_SHOWN - 21)).collect();
    format!("{}…{}", line(&head), line(&tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_to_left_override_is_shown_not_obeyed() {
        assert_eq!(line("contract\u{202e}fdo.exe"), "contract‹U+202E›fdo.exe");
        assert_eq!(line("a\nb\u{0}\u{200b}"), "a‹U+000A›b‹U+0000›‹U+200B›");
        assert_eq!(line("采购合同.ofd"), "采购合同.ofd");
    }

    #[test]
    fn long_text_is_cut_and_says_how_much() {
        let shown = line(&"长".repeat(10_000));
        assert!(shown.ends_with("… (+9800)"), "{shown}");
        assert_eq!(shown.chars().count(), MAX_SHOWN + "… (+9800)".chars().count());
    }

    #[test]
    fn long_origin_keeps_its_right_end() {
        let shown = origin(&format!("https://{}.evil.example", "gov.cn.".repeat(100)));
        assert!(shown.ends_with(".evil.example"), "{shown}");
        assert!(shown.starts_with("https://"));
        assert!(shown.chars().count() <= MAX_SHOWN);
    }
}
