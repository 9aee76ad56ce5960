//! Times as certificates, revocation lists and seals carry them: whole seconds, UTC, with `Z`.

use jiff::Timestamp;
use sealagent::asn1::{GENERALIZED_TIME, UTC_TIME, der};

/// First second of 2050: from here on a certificate's time is GeneralizedTime (RFC 5280 clause 4.1.2.5, GB/T 20518).
const YEAR_2050: i64 = 2_524_608_000;
/// First second of 1950, the oldest a UTCTime can say.
const YEAR_1950: i64 = -631_152_000;

/// DER of a `Time` of a certificate or revocation list: UTCTime up to 2049, GeneralizedTime outside 1950–2049. Fractions of a second are cut.
pub fn time(at: Timestamp) -> Vec<u8> {
    if (YEAR_1950..YEAR_2050).contains(&at.as_second()) {
        der(UTC_TIME, at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
    } else {
        generalized_time(at)
    }
}

/// DER GeneralizedTime `YYYYMMDDHHMMSSZ`. Fractions of a second are cut.
pub fn generalized_time(at: Timestamp) -> Vec<u8> {
    der(GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_time_ends_with_2049() {
        let last: Timestamp = "2049-12-31T23:59:59Z".parse().unwrap();
        let next: Timestamp = "2050-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(time(last), b"\x17\x0d491231235959Z");
        assert_eq!(time(next), b"\x18\x0f20500101000000Z");
        assert_eq!(time("1949-12-31T23:59:59Z".parse().unwrap())[0], GENERALIZED_TIME);
        assert_eq!(time("2026-11-24T06:00:00.9Z".parse().unwrap()), b"\x17\x0d261124060000Z");
    }
}
