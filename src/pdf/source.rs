//! The file behind a document: a window on it, and a bound on all work done with it.

use std::io::{self, Read, Seek, SeekFrom};

use super::{
    MAX_OBJECT, PdfError,
    object::{ParseError, Parser},
    work_limit,
};

/// Least bytes read at once.
const WINDOW: usize = 16 << 10;

pub(super) struct Source<R> {
    inner: R,
    len: u64,
    window: Vec<u8>,
    window_start: u64,
    work_left: u64,
}

impl<R: Read + Seek> Source<R> {
    pub fn new(mut inner: R) -> Result<Self, PdfError> {
        let len = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, len, window: Vec::new(), window_start: 0, work_left: work_limit(len) })
    }

    /// Length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Counts `bytes` of work; an error once the file has had its share.
    pub fn work(&mut self, bytes: u64) -> Result<(), PdfError> {
        self.work_left = self.work_left.checked_sub(bytes).ok_or(PdfError::Limit("work"))?;
        Ok(())
    }

    /// Up to `want` bytes from `offset`; fewer only at the end of the file.
    pub fn at(&mut self, offset: u64, want: usize) -> Result<&[u8], PdfError> {
        let want = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(want);
        let inside = offset
            .checked_sub(self.window_start)
            .and_then(|start| usize::try_from(start).ok())
            .filter(|start| start.checked_add(want).is_some_and(|end| end <= self.window.len()));
        if let Some(start) = inside {
            return Ok(&self.window[start..start + want]);
        }
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let size = want.max(WINDOW).min(available);
        self.work(want as u64)?;
        self.window.clear();
        if self.window.capacity() > 8 * WINDOW && size <= WINDOW {
            self.window.shrink_to(WINDOW);
        }
        self.window.resize(size, 0);
        self.window_start = offset;
        self.inner.seek(SeekFrom::Start(offset))?;
        if let Err(error) = self.inner.read_exact(&mut self.window) {
            self.window.clear();
            return Err(error.into());
        }
        Ok(&self.window[..want])
    }

    /// Parses from `offset` with a slice that grows until the parser is content. Gives where the parser stopped, too.
    pub fn parse<T>(
        &mut self,
        offset: u64,
        parse: impl Fn(&mut Parser<'_>) -> Result<T, ParseError>,
    ) -> Result<(T, u64), PdfError> {
        let mut want = 2048;
        loop {
            let last = want >= MAX_OBJECT || offset.saturating_add(want as u64) >= self.len;
            let bytes = self.at(offset, want.min(MAX_OBJECT))?;
            let mut parser = Parser::partial(bytes);
            let result = parse(&mut parser);
            let at = parser.at as u64;
            self.work(at)?;
            return match result {
                Ok(value) => Ok((value, offset + at)),
                Err(ParseError::Cut) if !last => {
                    want *= 4;
                    continue;
                }
                Err(ParseError::Cut) if want >= MAX_OBJECT => Err(PdfError::Limit("bytes in one object")),
                Err(ParseError::Cut) => Err(PdfError::Syntax { what: "an object is cut short", offset }),
                Err(ParseError::Limit(what)) => Err(PdfError::Limit(what)),
                Err(ParseError::Syntax(what, at)) => Err(PdfError::Syntax { what, offset: offset + at as u64 }),
            };
        }
    }

    /// A reader over `len` bytes from `offset`, counted as work as they are read.
    pub fn range(&mut self, offset: u64, len: u64) -> Result<RangeReader<'_, R>, PdfError> {
        self.inner.seek(SeekFrom::Start(offset))?;
        Ok(RangeReader { source: self, left: len })
    }
}

/// See [`Source::range`].
pub(super) struct RangeReader<'a, R> {
    source: &'a mut Source<R>,
    left: u64,
}

impl<R: Read + Seek> Read for RangeReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.source.inner.read(&mut buffer[..want])?;
        self.left -= read as u64;
        self.source.work(read as u64).map_err(io::Error::other)?;
        Ok(read)
    }
}
