//! A connection that passes on well-formed heads only.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::{HeadError, HeadScanner};

/// A connection whose heads are looked at before the library reads them. A head that is refused reaches it as a NUL, which it
/// answers with 400 and the end of the connection.
#[derive(Debug)]
pub struct Strict<S> {
    stream: S,
    scanner: HeadScanner,
    /// Set once the connection speaks WebSocket.
    upgraded: Arc<AtomicBool>,
}

impl<S> Strict<S> {
    /// Looks at `stream` until `upgraded` is set: what follows then are no heads.
    pub fn new(stream: S, upgraded: Arc<AtomicBool>) -> Self {
        Self { stream, scanner: HeadScanner::default(), upgraded }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if this.upgraded.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        match this.scanner.received(&buffer.filled()[before..]) {
            Ok(()) => {}
            Err(HeadError::Pipelined) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            Err(error) => {
                tracing::debug!(%error, "the head of a request was refused");
                buffer.set_filled(before);
                let poison = b"\0\r\n\r\n";
                buffer.put_slice(&poison[..buffer.remaining().min(poison.len())]);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.scanner.sent();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.scanner.sent();
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
