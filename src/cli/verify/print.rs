//! A report as text for people: aligned columns, in Chinese or English.

use std::fmt::Write as _;

use crate::failure::Language;
use crate::verify::order::Order;
use crate::verify::report::{Asked, Finding, Indication, Level, Outcome, Question, Report, SignatureReport, TimeSource};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub language: Language,
    pub colour: bool,
}

/// Width of the column with the verdict.
const VERDICT: usize = 23;
/// Width of the column with the code of a finding.
const CODE: usize = 28;

/// The text about one file, with a line end.
pub(super) fn report(name: &str, report: &Report, style: Style) -> String {
    let mut out = String::new();
    let all: Vec<&SignatureReport> = report.signatures.iter().chain(&report.seals).collect();
    let count = match (report.signatures.len(), report.seals.len(), style.language) {
        (0, 0, _) => String::new(),
        (0, _, language) => language.pick("a seal", "电子印章").to_owned(),
        (n, _, Language::Chinese) => format!("{n} 个签章"),
        (1, _, Language::English) => "1 signature".to_owned(),
        (n, _, Language::English) => format!("{n} signatures"),
    };
    let verdict = verdict(report.indication, style);
    let _ = writeln!(out, "{}  {}  {count}", pad(&verdict, VERDICT), visible(name));
    if let Some(order) = report.order.as_ref().filter(|order| order.signers.len() > 1) {
        let _ = writeln!(out, "  {}", in_order(order, style));
    }
    for finding in &report.findings {
        line(&mut out, finding, style);
    }
    for asked in &report.asked {
        let _ = writeln!(out, "  {}", question(asked, style.language));
    }
    for signature in all {
        let _ = writeln!(out, "  {}  {}", pad(&self::verdict(signature.indication, style), VERDICT - 2), about(signature, style));
        for finding in &signature.findings {
            line(&mut out, finding, style);
        }
    }
    out
}

/// What was asked, of whom, and what came of it.
fn question(asked: &Asked, language: Language) -> String {
    let what = match asked.question {
        Question::Certificate => language.pick("asked whether a certificate is revoked", "查询证书撤销状态"),
        Question::Seal => language.pick("asked for the state of a seal", "查询印章状态"),
    };
    let outcome = match asked.outcome {
        Outcome::Answered => language.pick("answered", "已答复"),
        Outcome::NoPlace => language.pick("the region names no place to ask", "该地区未给出查询地址"),
        Outcome::Refused => language.pick("no answer that counts; judged by what is kept", "答复无效，按已有数据判断"),
        Outcome::Unreachable => language.pick("cannot be reached; judged by what is kept", "无法连接，按已有数据判断"),
    };
    let host = asked.host.as_deref().map(|host| format!(" {}", visible(host))).unwrap_or_default();
    format!("· {what}: {}, {}{host}: {outcome}", visible(&asked.subject), asked.region)
}

/// Who signed after whom.
fn in_order(order: &Order, style: Style) -> String {
    let signers: Vec<String> = order.signers.iter().map(|name| visible(name)).collect();
    let (nothing, something) = (
        style.language.pick("nothing else changed", "此外没有其他改动"),
        style.language.pick("something else was changed, or does not hold", "此外还有改动，或有签章不成立"),
    );
    let rest = if order.nothing_else { nothing } else { something };
    match style.language {
        Language::English => format!("signed by {}; {rest}", signers.join(", then ")),
        Language::Chinese => format!("依次签章：{}；{rest}", signers.join("，其后 ")),
    }
}

/// Id, who, with which seal, when and who says so.
fn about(signature: &SignatureReport, style: Style) -> String {
    let mut parts = vec![visible(&signature.id)];
    if let Some(signer) = &signature.signer {
        let uscc = signer.uscc.as_ref().map(|uscc| format!(" {uscc}")).unwrap_or_default();
        parts.push(format!("{}{uscc}", visible(&signer.name)));
    }
    if let Some(seal) = &signature.seal {
        parts.push(format!("{} {}", visible(&seal.name), visible(&seal.es_id)));
    }
    if let Some(at) = signature.signed_at {
        let source = match signature.time_source {
            Some(TimeSource::Timestamp) => style.language.pick("time stamp", "时间戳"),
            _ => style.language.pick("claimed", "自行填写"),
        };
        parts.push(format!("{at} ({source})"));
    }
    parts.join(" · ")
}

fn verdict(indication: Indication, style: Style) -> String {
    let (mark, zh, en, colour) = match indication {
        Indication::TotalPassed => ("✔", "有效", "valid", "32"),
        Indication::Indeterminate => ("?", "无法确定", "cannot be determined", "33"),
        Indication::TotalFailed => ("✘", "无效", "invalid", "31"),
    };
    paint(&format!("{mark} {}", style.language.pick(en, zh)), colour, style)
}

fn line(out: &mut String, finding: &Finding, style: Style) {
    let (mark, colour) = match finding.level {
        Level::Error => ("✘", "31"),
        Level::Indeterminate => ("?", "33"),
        Level::Warning => ("!", "33"),
        Level::Info => ("·", "2"),
    };
    let message = match style.language {
        Language::Chinese => &finding.message_zh,
        Language::English => &finding.message,
    };
    let _ = writeln!(out, "    {} {}  {message}", paint(mark, colour, style), pad(finding.code.name(), CODE));
}

fn paint(text: &str, colour: &str, style: Style) -> String {
    if style.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// A file's own text, without characters that move the cursor or hide.
fn visible(text: &str) -> String {
    crate::harmless::within(text, usize::MAX)
}

/// Fills up to a width in terminal cells; colours take none, Chinese characters two.
fn pad(text: &str, width: usize) -> String {
    let mut cells = 0;
    let mut escape = false;
    for c in text.chars() {
        match c {
            '\x1b' => escape = true,
            'm' if escape => escape = false,
            _ if escape => {}
            '\u{1100}'..='\u{115f}'
            | '\u{2e80}'..='\u{a4cf}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}'
            | '\u{ff00}'..='\u{ff60}'
            | '\u{ffe0}'..='\u{ffe6}'
            | '\u{20000}'..='\u{3fffd}' => cells += 2,
            _ => cells += 1,
        }
    }
    format!("{text}{}", " ".repeat(width.saturating_sub(cells)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_chinese_and_with_colours() {
        assert_eq!(pad("有效", 6), "有效  ");
        assert_eq!(pad("\x1b[31mab\x1b[0m", 4), "\x1b[31mab\x1b[0m  ");
        assert_eq!(pad("abcdef", 4), "abcdef");
    }

    #[test]
    fn a_file_name_cannot_move_the_cursor() {
        assert_eq!(visible("a\x1b[2Jb\u{202e}c"), "a‹U+001B›[2Jb‹U+202E›c");
    }
}
