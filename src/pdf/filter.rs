//! Decoding of the streams that hold structure: FlateDecode with or without a predictor (ISO 32000-1 7.4.4). Nothing else is
//! decoded, since cross-reference and object streams use nothing else.

use std::io::{self, Read};

use super::{Dict, Object, PdfError};

/// Longest row of a predictor, in bytes: cross-reference streams have rows of under 20.
const MAX_ROW: usize = 1 << 16;

/// Decoded bytes of a stream with this dictionary, as they are read from `raw`.
pub(super) fn decode<'a>(dict: &Dict, raw: impl Read + 'a) -> Result<Box<dyn Read + 'a>, PdfError> {
    let unsupported = |what| PdfError::Syntax { what, offset: 0 };
    let only = |value: &Object| match value {
        Object::Array(elements) => match elements.as_slice() {
            [] => Ok(Object::Null),
            [one] => Ok(one.clone()),
            _ => Err(unsupported("a structure stream with several filters")),
        },
        other => Ok(other.clone()),
    };
    match only(dict.value("Filter"))? {
        Object::Null => return Ok(Box::new(raw)),
        Object::Name(name) if name == b"FlateDecode" || name == b"Fl" => {}
        _ => return Err(unsupported("a structure stream with a filter other than FlateDecode")),
    }
    let inflated = flate2::read::ZlibDecoder::new(raw);
    let parameters = match only(dict.value("DecodeParms"))? {
        Object::Dictionary(parameters) => parameters,
        Object::Null => return Ok(Box::new(inflated)),
        _ => return Err(unsupported("DecodeParms that is no dictionary")),
    };
    let number = |key, default| match parameters.value(key) {
        Object::Null => Ok(default),
        Object::Integer(n) => usize::try_from(*n).map_err(|_| unsupported("a predictor parameter out of range")),
        _ => Err(unsupported("a predictor parameter that is no integer")),
    };
    match number("Predictor", 1)? {
        1 => Ok(Box::new(inflated)),
        10..=15 => {
            let (colors, bits, columns) = (number("Colors", 1)?, number("BitsPerComponent", 8)?, number("Columns", 1)?);
            let row = colors.checked_mul(bits).and_then(|n| n.checked_mul(columns)).map(|bits| bits.div_ceil(8));
            let pixel = colors.saturating_mul(bits).div_ceil(8);
            match row {
                Some(row) if (1..=MAX_ROW).contains(&row) && (1..=row).contains(&pixel) => {
                    Ok(Box::new(Unpredict { inner: inflated, pixel, row: vec![0; row], above: vec![0; row], used: row }))
                }
                _ => Err(unsupported("a predictor row out of range")),
            }
        }
        _ => Err(unsupported("a predictor other than PNG's")),
    }
}

/// Undoes the PNG filters (RFC 2083 clause 6) row by row.
struct Unpredict<R> {
    inner: R,
    pixel: usize,
    row: Vec<u8>,
    above: Vec<u8>,
    used: usize,
}

impl<R: Read> Unpredict<R> {
    /// Reads the next row; false at the end of the data.
    fn next_row(&mut self) -> io::Result<bool> {
        let mut filter = [0];
        if self.inner.read(&mut filter)? == 0 {
            return Ok(false);
        }
        std::mem::swap(&mut self.row, &mut self.above);
        self.inner.read_exact(&mut self.row)?;
        for i in 0..self.row.len() {
            let left = if i >= self.pixel { self.row[i - self.pixel] } else { 0 };
            let up = self.above[i];
            let corner = if i >= self.pixel { self.above[i - self.pixel] } else { 0 };
            let predicted = match filter[0] {
                0 => 0,
                1 => left,
                2 => up,
                3 => u16::midpoint(left.into(), up.into()) as u8,
                4 => paeth(left, up, corner),
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown PNG filter")),
            };
            self.row[i] = self.row[i].wrapping_add(predicted);
        }
        self.used = 0;
        Ok(true)
    }
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let (pa, pb, pc) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if pa <= pb && pa <= pc {
        left
    } else if pb <= pc {
        up
    } else {
        corner
    }
}

impl<R: Read> Read for Unpredict<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || (self.used == self.row.len() && !self.next_row()?) {
            return Ok(0);
        }
        let len = buffer.len().min(self.row.len() - self.used);
        buffer[..len].copy_from_slice(&self.row[self.used..self.used + len]);
        self.used += len;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::pdf::object::Parser;

    fn decoded(dict: &str, rows: &[u8]) -> Result<Vec<u8>, PdfError> {
        let mut deflater = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflater.write_all(rows).unwrap();
        let raw = deflater.finish().unwrap();
        let dict = Parser::complete(dict.as_bytes(), 0).value().unwrap();
        let mut out = Vec::new();
        decode(dict.dict().unwrap(), raw.as_slice())?.read_to_end(&mut out)?;
        Ok(out)
    }

    /// Rows worked out by hand from RFC 2083 clause 6.
    #[test]
    fn every_png_filter_is_undone() {
        let rows = [0, 1, 2, 3, 1, 1, 1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 4, 1, 1, 1];
        let dict = "<</Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 3>>>>";
        assert_eq!(decoded(dict, &rows).unwrap(), [1, 2, 3, 1, 2, 3, 2, 3, 4, 2, 3, 4, 3, 4, 5]);
    }

    #[test]
    fn other_filters_and_odd_parameters_are_refused() {
        for dict in [
            "<</Filter/LZWDecode>>",
            "<</Filter[/FlateDecode/FlateDecode]>>",
            "<</Filter/FlateDecode/DecodeParms<</Predictor 2>>>>",
            "<</Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 0>>>>",
            "<</Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 9223372036854775807>>>>",
            "<</Filter/FlateDecode/DecodeParms<</Predictor 12/Columns -1>>>>",
        ] {
            assert!(decoded(dict, &[0; 4]).is_err(), "{dict}");
        }
    }
}
