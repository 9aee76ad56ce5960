//! Times as they stand in seals and signatures, and how we write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::asn1::{GENERALIZED_TIME, SEQUENCE, Tlv, UTC_TIME, der};

use super::Tolerance;
use super::read::{Notes, SesError};

/// Longest text that is looked at as a time; `2020-01-25T07:31:56.123456789+08:00` has 35 characters.
const MAX_TEXT: usize = 64;

/// A point in time and how it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Time {
    /// The instant meant. The `Z` is not always true (ses.md §5): some products label Beijing time with it.
    pub instant: Timestamp,
    /// The characters as they stand.
    pub text: String,
    /// What the text says about its zone.
    pub zone: Zone,
}

impl Time {
    /// A UTCTime or GeneralizedTime as it stands in any structure; `None` for everything else.
    pub fn from_asn1(tlv: Tlv<'_>) -> Option<Self> {
        let form = match tlv.tag {
            UTC_TIME => Form::Utc,
            GENERALIZED_TIME => Form::Generalized,
            _ => return None,
        };
        parse(std::str::from_utf8(tlv.value).ok()?, form)
    }
}

/// The zone a time was written with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Zone {
    /// None: read as China Standard Time (UTC+8).
    Missing,
    /// An offset from UTC such as `+0800`.
    Offset,
    /// `Z`
    Utc,
}

/// `timeInfo` of a `TBS_Sign`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TimeInfo {
    /// A time that the signer claims.
    Claimed(Time),
    /// V1: DER of a time stamp (`ContentInfo` or `TimeStampResp`), unjudged. What it stamps GM/T 0031-2014 does not say.
    TimeStamp(Vec<u8>),
    /// V1: contents of the BIT STRING that are neither.
    Unreadable(Vec<u8>),
}

impl TimeInfo {
    /// The claimed time, if it is one.
    pub fn claimed(&self) -> Option<&Time> {
        match self {
            Self::Claimed(time) => Some(time),
            _ => None,
        }
    }

    /// Contents of a V1 timeInfo. In order: a time stamp, the DER of a time, text (ses.md §2).
    pub(super) fn from_v1(contents: &[u8], notes: &mut Notes) -> Self {
        if let Ok(tlv) = Tlv::read_all(contents) {
            if tlv.tag == SEQUENCE {
                return Self::TimeStamp(contents.to_vec());
            }
            if let Some(time) = read_tlv(tlv, notes) {
                return Self::Claimed(time);
            }
        }
        match std::str::from_utf8(contents).ok().and_then(|text| parse(text, Form::Text)) {
            Some(time) => {
                notes.add(Tolerance::TimeInfoText);
                note_zone(&time, notes);
                Self::Claimed(time)
            }
            None => Self::Unreadable(contents.to_vec()),
        }
    }
}

/// A field that must be a UTCTime or a GeneralizedTime; `expected` is the one that the standard asks for.
pub(super) fn read(field: &'static str, tlv: Tlv<'_>, expected: u8, notes: &mut Notes) -> Result<Time, SesError> {
    let time = read_tlv(tlv, notes).ok_or(SesError::Time { field })?;
    if tlv.tag != expected {
        notes.add(Tolerance::TimeType);
    }
    Ok(time)
}

fn read_tlv(tlv: Tlv<'_>, notes: &mut Notes) -> Option<Time> {
    let time = Time::from_asn1(tlv)?;
    let plain = if tlv.tag == UTC_TIME { "YYMMDDHHMMSSZ" } else { "YYYYMMDDHHMMSSZ" };
    if time.zone != Zone::Missing && (time.zone != Zone::Utc || tlv.value.len() != plain.len()) {
        notes.add(Tolerance::TimeForm);
    }
    note_zone(&time, notes);
    Some(time)
}

fn note_zone(time: &Time, notes: &mut Notes) {
    if time.zone == Zone::Missing {
        notes.add(Tolerance::TimeWithoutZone);
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    /// `YYYYMMDDHH[MM[SS[.f]]]` and a zone (X.680 clause 46)
    Generalized,
    /// Either of the others, or `YYYY-MM-DD[T ]HH:MM:SS[.f]` and a zone
    Text,
    /// `YYMMDDHHMM[SS]` and a zone (X.680 clause 47); years 1950 to 2049
    Utc,
}

fn parse(text: &str, form: Form) -> Option<Time> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let mut scan = Scan(text.as_bytes());
    let loose = form == Form::Text;
    let two_digit_year = match form {
        Form::Utc => true,
        Form::Generalized => false,
        Form::Text => matches!(text.bytes().take_while(u8::is_ascii_digit).count(), 10 | 12),
    };
    let year = match scan.number(if two_digit_year { 2 } else { 4 })? {
        short if two_digit_year => short + if short < 50 { 2000 } else { 1900 },
        year => year,
    };
    let mut next = |separators: &[u8]| {
        if loose {
            scan.skip(separators);
        }
        scan.number(2)
    };
    let (month, day, hour) = (next(b"-/")?, next(b"-/")?, next(b"T ")?);
    let minute = next(b":");
    let second = minute.and_then(|_| next(b":"));
    let nanosecond = if second.is_some() && form != Form::Utc { scan.fraction()? } else { 0 };
    let (zone, offset) = scan.zone(loose)?;
    if two_digit_year && minute.is_none() {
        return None;
    }
    let local = DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        hour as i8,
        minute.unwrap_or(0) as i8,
        second.unwrap_or(0) as i8,
        nanosecond,
    );
    let instant = offset.to_timestamp(local.ok()?).ok()?;
    Some(Time { instant, text: text.to_owned(), zone })
}

struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    /// Exactly `len` digits, at most four; takes nothing if they do not stand there.
    fn number(&mut self, len: usize) -> Option<u16> {
        let (digits, rest) = self.0.split_at_checked(len)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))
    }

    fn skip(&mut self, any_of: &[u8]) -> bool {
        match self.0 {
            [first, rest @ ..] if any_of.contains(first) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Nanoseconds of a fraction of a second, if one follows; further digits are dropped.
    fn fraction(&mut self) -> Option<i32> {
        if !self.skip(b".,") {
            return Some(0);
        }
        let len = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(len);
        self.0 = rest;
        if digits.is_empty() {
            return None;
        }
        Some((0..9).fold(0, |n, i| n * 10 + i32::from(digits.get(i).map_or(0, |d| d - b'0'))))
    }

    /// The zone, which must be all that is left.
    fn zone(&mut self, loose: bool) -> Option<(Zone, Offset)> {
        let found = match self.0 {
            [] => (Zone::Missing, Offset::constant(8)),
            [b'Z'] => return Some((Zone::Utc, Offset::UTC)),
            [sign @ (b'+' | b'-'), rest @ ..] => {
                self.0 = rest;
                let hours = i32::from(self.number(2)?);
                if loose {
                    self.skip(b":");
                }
                let minutes = if self.0.is_empty() { 0 } else { i32::from(self.number(2)?) };
                if hours > 14 || minutes > 59 {
                    return None;
                }
                let seconds = (hours * 60 + minutes) * 60;
                (Zone::Offset, Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds }).ok()?)
            }
            _ => return None,
        };
        self.0.is_empty().then_some(found)
    }
}

/// DER GeneralizedTime `YYYYMMDDHHMMSSZ`, fractions dropped. `None` for years outside 0 to 9999.
pub(super) fn generalized_time(time: Timestamp) -> Option<Vec<u8>> {
    let (year, rest) = digits(time)?;
    Some(der(GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes()))
}

/// DER UTCTime `YYMMDDHHMMSSZ`, fractions dropped. `None` for years outside 1950 to 2049.
pub(super) fn utc_time(time: Timestamp) -> Option<Vec<u8>> {
    let (year, rest) = digits(time)?;
    (1950..2050).contains(&year).then(|| der(UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes()))
}

/// DER of a time as CMS and X.509 want it: UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5652 clause 11.3). `None` for years
/// outside 0 to 9999.
pub fn asn1_time(time: Timestamp) -> Option<Vec<u8>> {
    utc_time(time).or_else(|| generalized_time(time))
}

fn digits(time: Timestamp) -> Option<(i16, String)> {
    let t = Offset::UTC.to_datetime(time);
    let rest = format!("{:02}{:02}{:02}{:02}{:02}Z", t.month(), t.day(), t.hour(), t.minute(), t.second());
    (t.year() >= 0).then_some((t.year(), rest))
}
