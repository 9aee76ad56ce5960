//! What stands in a request's address and headers, read strictly.

use hyper::header::{HeaderMap, HeaderName};

use super::bad;
use crate::failure::Failure;

/// The parameters behind `?`: each once, names and values percent-decoded.
#[derive(Clone, Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind `?`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let pair = decoded(name).zip(decoded(value)).ok_or_else(|| bad("query: not UTF-8 in percent encoding"))?;
            if pairs.iter().any(|(name, _)| *name == pair.0) {
                return Err(bad("query: a parameter stands there twice"));
            }
            pairs.push(pair);
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that the route does not know is a mistake that should not pass in silence.
    pub fn only(&self, known: &[&str]) -> Result<(), Failure> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(bad(format!("query: unknown parameter {}", crate::harmless::line(name)))),
            None => Ok(()),
        }
    }
}

/// Percent-decoding (RFC 3986 clause 2.1); `None` for a broken escape or for what is not UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                (high << 4 | low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// The value of a header that stands there exactly once and is ASCII.
pub fn one(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_strict() {
        let query = Query::parse("name=%E5%90%88%E5%90%8C.ofd&at=").unwrap();
        assert_eq!((query.get("name"), query.get("at"), query.get("x")), (Some("合同.ofd"), Some(""), None));
        assert!(query.only(&["name", "at"]).is_ok());
        assert!(query.only(&["name"]).is_err(), "at");
        assert!(Query::parse("a=1&a=2").is_err());
        assert!(Query::parse("a=%f").is_err());
    }
}
