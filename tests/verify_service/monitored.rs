//! The metrics page, held against the grammar of Prometheus's text format and read by another's parser.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::client::{Client, post};
use super::{Bench, verifications};

/// A page after two files were judged and one request was refused.
fn page() -> String {
    let bench = Bench::make();
    let served = bench.usual();
    for bytes in [&bench.sealed, &bench.changed] {
        assert_eq!(Client::new(served.address).ask(&post(&verifications(), bytes)).status, 200);
    }
    assert_eq!(Client::new(served.address).ask(&post("/v1/verifications?at=x", b"x")).status, 400);
    assert_eq!(Client::new(served.address).ask(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").status, 404);
    let answer = Client::new(served.address).ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

const EXPECTED: [(&str, f64); 8] = [
    ("sealauthority_verify_requests_total{result=\"judged\"}", 2.0),
    ("sealauthority_verify_requests_total{result=\"bad_request\"}", 1.0),
    ("sealauthority_verify_requests_total{result=\"not_found\"}", 1.0),
    ("sealauthority_verify_requests_total{result=\"unavailable\"}", 0.0),
    ("sealauthority_verify_verdicts_total{indication=\"TOTAL_PASSED\"}", 1.0),
    ("sealauthority_verify_verdicts_total{indication=\"TOTAL_FAILED\"}", 1.0),
    ("sealauthority_verify_duration_seconds_bucket{le=\"+Inf\"}", 2.0),
    ("sealauthority_verify_duration_seconds_count", 2.0),
];

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// A line of a page is `# HELP name text`, `# TYPE name kind` or `name{label="value",…} number`; a family's lines stand together, help and
/// type first; a counter ends with `_total`; classes of a histogram only grow, and the last is the count.
pub fn grammar() {
    let text = page();
    assert!(text.ends_with('\n'));
    let mut samples = BTreeMap::new();
    let mut kinds: Vec<(String, String)> = Vec::new();
    let mut helped = None;
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !text.is_empty() && !text.contains('\\'), "{line}");
            assert!(kinds.iter().all(|(known, _)| known != name), "{name} stands there twice");
            helped = Some(name.to_owned());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(helped.take().as_deref(), Some(name), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            kinds.push((name.to_owned(), kind.to_owned()));
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap();
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once('=').unwrap();
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
                assert!(is_name(label) && !label.contains(':') && !value.contains(['"', '\\']), "{line}");
            }
            let (family, kind) = kinds.last().unwrap();
            let is_own = match kind.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(family)),
                _ => name == family,
            };
            assert!(is_own && is_name(name), "{line}");
            assert!(samples.insert(series.to_owned(), value.parse::<f64>().unwrap()).is_none(), "{series} stands there twice");
        }
    }
    for (series, value) in EXPECTED {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    let bound = |series: &str| series.split("le=\"").nth(1).map(|rest| rest.trim_end_matches("\"}").replace("+Inf", "inf"));
    let mut classes: Vec<(f64, f64)> =
        samples.iter().filter_map(|(series, value)| Some((bound(series)?.parse().unwrap(), *value))).collect();
    classes.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(classes.len() > 5 && classes.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{classes:?}");
    let time = samples["sealauthority_verify_duration_seconds_sum"];
    assert!(time > 0.0 && time < 60.0, "{time}");
}

/// The interpreter that Debian's packages are for.
const PYTHON: &str = "/usr/bin/python3";

/// Whether Debian's `python3-prometheus-client` is there.
pub fn has_parser() -> bool {
    Command::new(PYTHON).args(["-c", "import prometheus_client.parser"]).output().is_ok_and(|output| output.status.success())
}

/// The parser of Prometheus's own client for Python gives the same series and values, and refuses a broken page.
pub fn by_prometheus_client() {
    const SCRIPT: &str = "import sys\n\
        from prometheus_client.parser import text_string_to_metric_families\n\
        for family in text_string_to_metric_families(sys.stdin.read()):\n\
        \x20   for sample in family.samples:\n\
        \x20       labels = ','.join(f'{name}=\"{value}\"' for name, value in sample.labels.items())\n\
        \x20       print(family.type, sample.name + ('{' + labels + '}' if labels else ''), sample.value)\n";
    let read = |page: &str| {
        let mut command = Command::new(PYTHON);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let page = page();
    let (good, read_back) = read(&page);
    assert!(good);
    for (series, value) in EXPECTED {
        let kind = if series.contains("duration") { "histogram" } else { "counter" };
        assert!(read_back.lines().any(|line| line == format!("{kind} {series} {value:.1}")), "{series}\n{read_back}");
    }
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(read_back.lines().count(), samples, "every series is read");
    assert!(!read(&page.replacen("} 2", "} two", 1)).0, "the judge refuses a broken page");
}
