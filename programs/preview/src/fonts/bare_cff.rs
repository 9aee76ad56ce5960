//! A bare CFF program (Adobe TN 5176) put into the tables that a font reader wants around it. Some producers embed one and call it
//! `.ttf`. It has no map from characters; documents that use it name its glyphs by number.

use std::collections::HashMap;

/// A font file around a program.
pub(super) struct Wrapped {
    pub file: Vec<u8>,
    /// Glyph by CID, where the program is keyed by CID: documents then name glyphs by CID too.
    pub cids: Option<HashMap<u32, u32>>,
}

/// The font file, or `None` when the program is cut before its list of glyphs.
pub(super) fn wrapped(cff: &[u8]) -> Option<Wrapped> {
    let top = Top::read(cff)?;
    let (list, _) = index(cff, top.char_strings?)?;
    let glyphs = u16::try_from(list.len()).ok()?;
    let cids = match top.is_cid {
        true => Some(charset(cff, top.charset, glyphs)?),
        false => None,
    };
    let mut head = vec![0; 54];
    head[..4].copy_from_slice(&[0, 1, 0, 0]);
    head[12..16].copy_from_slice(&0x5f0f_3cf5u32.to_be_bytes());
    head[18..20].copy_from_slice(&1000u16.to_be_bytes()); // unitsPerEm, as all CFF programs without a FontMatrix of their own
    let mut hhea = vec![0; 36];
    hhea[..4].copy_from_slice(&[0, 1, 0, 0]);
    hhea[34..].copy_from_slice(&1u16.to_be_bytes()); // numberOfHMetrics: one width for all
    let maxp = [&[0, 0, 0x50, 0][..], &glyphs.to_be_bytes()].concat();
    let mut hmtx = [1000u16.to_be_bytes(), [0, 0]].concat();
    hmtx.resize(4 + 2 * usize::from(glyphs.saturating_sub(1)), 0);
    let tables: [(&[u8; 4], &[u8]); 5] = [(b"CFF ", cff), (b"head", &head), (b"hhea", &hhea), (b"hmtx", &hmtx), (b"maxp", &maxp)];
    let mut file = b"OTTO".to_vec();
    file.extend([0, tables.len() as u8, 0, 64, 0, 2, 0, 16]);
    let mut offset = 12 + 16 * tables.len();
    for (tag, table) in tables {
        file.extend(*tag);
        file.extend([0; 4]); // a checksum that no reader of outlines compares
        file.extend(u32::try_from(offset).ok()?.to_be_bytes());
        file.extend(u32::try_from(table.len()).ok()?.to_be_bytes());
        offset += table.len().next_multiple_of(4);
    }
    for (_, table) in tables {
        file.extend(table);
        file.resize(file.len().next_multiple_of(4), 0);
    }
    Some(Wrapped { file, cids })
}

/// What is wanted of the first Top DICT.
#[derive(Default)]
struct Top {
    /// Operator 17: where the CharStrings INDEX is.
    char_strings: Option<usize>,
    /// Operator 15: where the charset is; 0 to 2 are predefined ones.
    charset: usize,
    /// Operator 12 30 (ROS) is there.
    is_cid: bool,
}

impl Top {
    fn read(cff: &[u8]) -> Option<Self> {
        let (_, tops) = index(cff, usize::from(*cff.get(2)?))?; // Name INDEX
        let (dict, _) = index(cff, tops)?;
        let dict = cff.get(dict.first()?.clone())?;
        let (mut at, mut last) = (0, 0i64);
        let mut top = Self::default();
        while let Some(&byte) = dict.get(at) {
            let more = |n: usize| dict.get(at + 1..at + 1 + n);
            let length = match byte {
                12 => {
                    top.is_cid |= more(1)?[0] == 30;
                    2
                }
                0..=21 => {
                    match byte {
                        15 => top.charset = usize::try_from(last).ok()?,
                        17 => top.char_strings = Some(usize::try_from(last).ok()?),
                        _ => {}
                    }
                    1
                }
                28 => {
                    last = i16::from_be_bytes(more(2)?.try_into().ok()?).into();
                    3
                }
                29 => {
                    last = i32::from_be_bytes(more(4)?.try_into().ok()?).into();
                    5
                }
                30 => 1 + dict[at + 1..].iter().position(|b| b & 15 == 15)? + 1,
                32..=246 => {
                    last = i64::from(byte) - 139;
                    1
                }
                247..=250 => {
                    last = (i64::from(byte) - 247) * 256 + i64::from(more(1)?[0]) + 108;
                    2
                }
                251..=254 => {
                    last = -(i64::from(byte) - 251) * 256 - i64::from(more(1)?[0]) - 108;
                    2
                }
                _ => return None,
            };
            at += length;
        }
        Some(top)
    }
}

/// Glyph by CID out of a charset of format 0, 1 or 2.
fn charset(cff: &[u8], at: usize, glyphs: u16) -> Option<HashMap<u32, u32>> {
    let mut out = HashMap::from([(0, 0)]);
    let number =
        |at: usize, size: usize| Some(cff.get(at..at + size)?.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)));
    let format = *cff.get(at)?;
    let (mut at, mut glyph, glyphs) = (at + 1, 1, u32::from(glyphs));
    while glyph < glyphs {
        let first = number(at, 2)?;
        let left = match format {
            0 => 0,
            1 => number(at + 2, 1)?,
            2 => number(at + 2, 2)?,
            _ => return None,
        };
        at += 2 + usize::from(format);
        for k in 0..=left.min(glyphs - 1 - glyph) {
            out.insert(first + k, glyph + k);
        }
        glyph += left + 1;
    }
    Some(out)
}

/// The elements of an INDEX and where it ends.
fn index(cff: &[u8], at: usize) -> Option<(Vec<std::ops::Range<usize>>, usize)> {
    let count = usize::from(u16::from_be_bytes(cff.get(at..at + 2)?.try_into().ok()?));
    if count == 0 {
        return Some((Vec::new(), at + 2));
    }
    let size = usize::from(*cff.get(at + 2)?);
    let data = at + 2 + (count + 1) * size; // offsets count from the byte before the data
    let offset = |n: usize| {
        let bytes = cff.get(at + 3 + n * size..at + 3 + (n + 1) * size).filter(|_| (1..=4).contains(&size))?;
        Some(data + bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let ranges = (0..count).map(|n| Some(offset(n)?..offset(n + 1)?)).collect::<Option<Vec<_>>>()?;
    let end = offset(count)?;
    Some((ranges, end))
}
