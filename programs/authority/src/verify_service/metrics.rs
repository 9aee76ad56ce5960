//! What a monitor reads: counters in the text format of Prometheus, version 0.0.4.
//!
//! Every label has a fixed set of values, so a stranger's request can neither add a time series nor put text into the page.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sealagent::failure::Code;
use sealagent::verify::report::Indication;

/// Media type of the page.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Upper bounds of the classes of time, in milliseconds. A seal on a page takes a few; a document at its limits some seconds.
const BOUNDS: [u64; 13] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];
/// Why requests fail, as far as each is counted by itself; all others count as the last.
const FAILURES: [Code; 9] = [
    Code::BadRequest,
    Code::DiskFull,
    Code::MethodNotAllowed,
    Code::NotFound,
    Code::TimedOut,
    Code::TooLarge,
    Code::Unavailable,
    Code::WrongContentType,
    Code::Internal,
];
const INDICATIONS: [(Indication, &str); 3] = [
    (Indication::Indeterminate, "INDETERMINATE"),
    (Indication::TotalFailed, "TOTAL_FAILED"),
    (Indication::TotalPassed, "TOTAL_PASSED"),
];

/// What one process counted since it started.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    failures: [u64; FAILURES.len()],
    verdicts: [u64; INDICATIONS.len()],
    bytes: u64,
    in_flight: u64,
    /// Judged requests by class; the last is for those above all bounds.
    times: [u64; BOUNDS.len() + 1],
    micros: u64,
    trust_read_at: i64,
    trust_problems: u64,
}

impl Metrics {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file of so many bytes was judged.
    pub fn judged(&self, indication: Indication, bytes: u64, took: Duration) {
        let mut counts = self.counts();
        if let Some(place) = INDICATIONS.iter().position(|(known, _)| *known == indication) {
            counts.verdicts[place] += 1;
        }
        counts.bytes += bytes;
        let class = BOUNDS.iter().position(|bound| took <= Duration::from_millis(*bound)).unwrap_or(BOUNDS.len());
        counts.times[class] += 1;
        counts.micros += took.as_micros() as u64;
    }

    /// A request was answered with this failure.
    pub fn failed(&self, code: Code) {
        let place = FAILURES.iter().position(|known| *known == code).unwrap_or(FAILURES.len() - 1);
        self.counts().failures[place] += 1;
    }

    /// The trust was read, or could not be.
    pub fn trust_read(&self, good: bool, now: Timestamp) {
        let mut counts = self.counts();
        match good {
            true => counts.trust_read_at = now.as_second(),
            false => counts.trust_problems += 1,
        }
    }

    /// Counts a request as in flight while the value lives.
    pub fn in_flight(&self) -> InFlight<'_> {
        self.counts().in_flight += 1;
        InFlight(self)
    }

    /// The page.
    pub fn text(&self) -> String {
        let counts = self.counts();
        let mut page = Page(String::new());
        let judged: u64 = counts.verdicts.iter().sum();
        page.family("requests_total", "counter", "Requests answered, by result: judged, or the code of the failure.");
        page.sample("requests_total", "{result=\"judged\"}", judged);
        for (code, count) in FAILURES.iter().zip(counts.failures) {
            page.sample("requests_total", &format!("{{result=\"{code}\"}}"), count);
        }
        page.family("verdicts_total", "counter", "Files judged, by the indication of their report.");
        for ((_, name), count) in INDICATIONS.iter().zip(counts.verdicts) {
            page.sample("verdicts_total", &format!("{{indication=\"{name}\"}}"), count);
        }
        page.family("judged_bytes_total", "counter", "Bytes of all files that were judged.");
        page.sample("judged_bytes_total", "", counts.bytes);
        page.family("in_flight_requests", "gauge", "Files that are being received or judged.");
        page.sample("in_flight_requests", "", counts.in_flight);
        page.family(
            "duration_seconds",
            "histogram",
            "Time from the head of a request to its report, for files that were judged.",
        );
        let mut up_to = 0;
        for (bound, count) in BOUNDS.iter().zip(counts.times) {
            up_to += count;
            page.sample("duration_seconds_bucket", &format!("{{le=\"{}\"}}", *bound as f64 / 1000.0), up_to);
        }
        page.sample("duration_seconds_bucket", "{le=\"+Inf\"}", judged);
        page.sample("duration_seconds_sum", "", counts.micros as f64 / 1e6);
        page.sample("duration_seconds_count", "", judged);
        page.family("trust_read_timestamp_seconds", "gauge", "When the trust that is in use was read, in Unix time.");
        page.sample("trust_read_timestamp_seconds", "", counts.trust_read_at);
        page.family(
            "trust_problems_total",
            "counter",
            "Times that changed trust could not be read; the last good one stayed in use.",
        );
        page.sample("trust_problems_total", "", counts.trust_problems);
        page.0
    }
}

/// Ends the count of a request in flight.
#[derive(Debug)]
pub struct InFlight<'a>(&'a Metrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counts().in_flight -= 1;
    }
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP sealauthority_verify_{name} {help}\n# TYPE sealauthority_verify_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "sealauthority_verify_{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_at_its_bound_is_in_the_class_and_classes_add_up() {
        let metrics = Metrics::default();
        for millis in [5, 6, 60_000, 60_001] {
            metrics.judged(Indication::TotalPassed, 10, Duration::from_millis(millis));
        }
        let text = metrics.text();
        for line in [
            "sealauthority_verify_duration_seconds_bucket{le=\"0.005\"} 1",
            "sealauthority_verify_duration_seconds_bucket{le=\"0.01\"} 2",
            "sealauthority_verify_duration_seconds_bucket{le=\"60\"} 3",
            "sealauthority_verify_duration_seconds_bucket{le=\"+Inf\"} 4",
            "sealauthority_verify_duration_seconds_sum 120.012",
            "sealauthority_verify_duration_seconds_count 4",
            "sealauthority_verify_judged_bytes_total 40",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn unknown_code_counts_as_internal_and_what_ended_is_not_in_flight() {
        let metrics = Metrics::default();
        metrics.failed(Code::PinBlocked);
        drop(metrics.in_flight());
        let _open = metrics.in_flight();
        let text = metrics.text();
        assert!(text.contains("requests_total{result=\"internal\"} 1\n"), "{text}");
        assert!(text.contains("in_flight_requests 1\n"), "{text}");
    }
}
