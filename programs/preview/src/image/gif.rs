//! The first picture of a GIF file (GIF89a): seals of some makers are GIFs.

use tiny_skia::Pixmap;

use super::{check, pixmap};

/// Bits of the longest code.
const MAX_BITS: u32 = 12;

/// `None` when the file ends before its first picture does.
pub(super) fn decode(bytes: &[u8]) -> Option<Result<Pixmap, String>> {
    let le = |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let (width, height) = (le(6)?, le(8)?);
    if let Err(reason) = check(width, height) {
        return Some(Err(reason));
    }
    let flags = *bytes.get(10)?;
    let mut at = 13;
    let table = |flags: u8, at: &mut usize| -> Option<&[u8]> {
        let size = if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
        let colours = bytes.get(*at..*at + size)?;
        *at += size;
        Some(colours)
    };
    let global = table(flags, &mut at)?;
    let mut transparent = None;
    loop {
        match *bytes.get(at)? {
            0x21 => {
                // The graphic control extension names the transparent colour.
                if *bytes.get(at + 1)? == 0xf9 && bytes.get(at + 3)? & 1 != 0 {
                    transparent = Some(*bytes.get(at + 6)?);
                }
                at += 2;
                skip_blocks(bytes, &mut at)?;
            }
            0x2c => break,
            _ => return None,
        }
    }
    let (left, top, across, down) = (le(at + 1)?, le(at + 3)?, le(at + 5)?, le(at + 7)?);
    let flags = *bytes.get(at + 9)?;
    at += 10;
    let local = table(flags, &mut at)?;
    let colours = if local.is_empty() { global } else { local };
    let indices = lzw(bytes, &mut at, across.checked_mul(down).filter(|count| *count <= super::MAX_PIXELS)?)?;
    let mut rgba = vec![0; width * height * 4];
    for (row, line) in indices.chunks_exact(across.max(1)).enumerate() {
        let y = top + if flags & 0x40 != 0 { interlaced(row, down) } else { row };
        for (column, index) in line.iter().enumerate() {
            let x = left + column;
            if x < width && y < height && Some(*index) != transparent {
                let colour = colours.get(usize::from(*index) * 3..)?.get(..3)?;
                rgba[(y * width + x) * 4..][..4].copy_from_slice(&[colour[0], colour[1], colour[2], 255]);
            }
        }
    }
    Some(pixmap(rgba, width, height))
}

fn skip_blocks(bytes: &[u8], at: &mut usize) -> Option<()> {
    loop {
        let length = usize::from(*bytes.get(*at)?);
        *at += length + 1;
        if length == 0 {
            return Some(());
        }
    }
}

/// Where the n-th line of an interlaced picture of that height stands: every 8th, the 8ths between, the 4ths, the rest.
fn interlaced(n: usize, height: usize) -> usize {
    let mut n = n;
    for (first, step) in [(0, 8), (4, 8), (2, 4), (1, 2)] {
        let lines = (height + step - 1 - first.min(height + step - 1)) / step;
        if n < lines {
            return first + n * step;
        }
        n -= lines;
    }
    height
}

/// At most `count` colour indices; fewer when the data ends early, filled up with the first colour.
fn lzw(bytes: &[u8], at: &mut usize, count: usize) -> Option<Vec<u8>> {
    let least = u32::from(*bytes.get(*at)?);
    *at += 1;
    let mut data = Vec::new();
    loop {
        let length = usize::from(*bytes.get(*at)?);
        let block = bytes.get(*at + 1..*at + 1 + length)?;
        *at += length + 1;
        if length == 0 {
            break;
        }
        data.extend_from_slice(block);
    }
    if !(2..=8).contains(&least) {
        return None;
    }
    let (clear, end) = (1usize << least, (1usize << least) + 1);
    // Each code: the code before its last index, and that index.
    let mut codes: Vec<(usize, u8)> = Vec::new();
    let (mut size, mut buffer, mut have) = (least + 1, 0u32, 0u32);
    let mut previous: Option<usize> = None;
    let mut out = Vec::with_capacity(count);
    let mut string = Vec::new();
    let mut input = data.into_iter();
    while out.len() < count {
        while have < size {
            let Some(byte) = input.next() else {
                out.resize(count, 0);
                return Some(out);
            };
            buffer |= u32::from(byte) << have;
            have += 8;
        }
        let code = (buffer & ((1 << size) - 1)) as usize;
        buffer >>= size;
        have -= size;
        if code == clear {
            codes.clear();
            (size, previous) = (least + 1, None);
            continue;
        }
        if code == end {
            break;
        }
        let next = end + 1 + codes.len();
        if code > next || code == next && previous.is_none() {
            return None;
        }
        // A code that is not there yet is the one before, and its first index once more.
        let mut walk = if code == next { previous? } else { code };
        string.clear();
        while walk > end {
            let (before, index) = codes[walk - end - 1];
            string.push(index);
            walk = before;
        }
        string.push(walk as u8);
        let first = walk as u8;
        out.extend(string.iter().rev());
        if code == next {
            out.push(first);
        }
        if let Some(previous) = previous
            && next < 1 << MAX_BITS
        {
            codes.push((previous, first));
            if next + 1 == 1 << size && size < MAX_BITS {
                size += 1;
            }
        }
        previous = Some(code);
    }
    out.resize(count, 0);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_interlaced_picture_come_in_four_passes() {
        let order: Vec<usize> = (0..10).map(|n| interlaced(n, 10)).collect();
        assert_eq!(order, [0, 8, 4, 2, 6, 1, 3, 5, 7, 9]);
    }

    /// The 10 × 10 sample picture of the GIF89a explanations on the web ("What's In A GIF"): white, red and blue squares.
    #[test]
    fn known_picture_is_decoded() {
        let file = b"GIF89a\x0a\0\x0a\0\x91\0\0\xff\xff\xff\xff\0\0\0\0\xff\0\0\0\x21\xf9\x04\0\0\0\0\0\x2c\0\0\0\0\x0a\0\x0a\0\0\x02\x16\x8c\x2d\x99\x87\x2a\x1c\xdc\x33\xa0\x02\x75\xec\x95\xfa\xa8\xde\x60\x8c\x04\x91\x4c\x01\0\x3b";
        let picture = decode(file).unwrap().unwrap();
        let at = |x, y| picture.pixel(x, y).map(|p| [p.red(), p.green(), p.blue(), p.alpha()]);
        assert_eq!(at(0, 0), Some([255, 0, 0, 255]));
        assert_eq!(at(9, 0), Some([0, 0, 255, 255]));
        assert_eq!(at(5, 5), Some([255, 255, 255, 255]));
        assert_eq!(at(9, 9), Some([255, 0, 0, 255]));
        assert!(decode(&file[..40]).is_none());
    }
}
