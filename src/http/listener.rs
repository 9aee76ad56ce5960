//! Connections: taken in, counted, timed out, and the oldest idle ones dropped when there are too many.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::head::{HeadError, HeadScanner};
use super::{App, peer, router};
use crate::config::{FIRST_PORT, LAST_PORT};

/// Most connections at once. A browser opens six for a site; more are somebody's flood, and fewer files than the usual limit of 1024.
const MAX_CONNECTIONS: usize = 512;
/// How long a connection may wait for its first byte: as long as a browser waits for the person to allow it (browser.md §3a).
const FIRST_BYTE: Duration = Duration::from_secs(300);
/// How long a head may take, and how long a kept connection may idle.
const HEAD: Duration = Duration::from_secs(30);
/// A pause after the system had no descriptor for a further connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// All ports that sites know are taken by other programs or users.
    #[error("the ports {FIRST_PORT} to {LAST_PORT} of 127.0.0.1 are all in use")]
    AllTaken,
    /// The one port that the configuration names cannot be had.
    #[error("port {port} of 127.0.0.1 cannot be used: {source}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// A bound port of 127.0.0.1.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    port: u16,
}

impl Listener {
    /// Binds `port`, or the first free one of [`FIRST_PORT`] to [`LAST_PORT`].
    pub async fn bind(port: Option<u16>) -> Result<Self, ListenError> {
        let ports = match port {
            Some(port) => port..=port,
            None => FIRST_PORT..=LAST_PORT,
        };
        let mut last = None;
        for port in ports {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            match bound.and_then(|socket| Ok((socket.local_addr()?.port(), socket))) {
                Ok((port, socket)) => return Ok(Self { socket, port }),
                Err(source) => last = Some(ListenError::Port { port, source }),
            }
        }
        Err(last.filter(|_| port.is_some()).unwrap_or(ListenError::AllTaken))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves until `stop` completes. Connections that are open then are dropped.
    pub async fn serve(self, app: Arc<App>, stop: impl Future<Output = ()>) {
        let connections = Arc::new(Connections::default());
        let sweep = async { tokio::join!(app.documents.keep_swept(), app.pages.keep_swept()) };
        tokio::pin!(stop, sweep);
        loop {
            tokio::select! {
                () = &mut stop => break,
                ((), ()) = &mut sweep => {}
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, remote)) => connections.clone().take(stream, remote, app.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                    }
                },
            }
        }
        connections.drop_all();
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct Connections {
    open: Mutex<(u64, BTreeMap<u64, Open>)>,
}

struct Open {
    task: AbortHandle,
    /// Requests that are being answered on it.
    busy: Arc<AtomicUsize>,
}

impl Connections {
    fn take(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, app: Arc<App>) {
        let busy = Arc::new(AtomicUsize::new(0));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.1.len() >= MAX_CONNECTIONS {
            // Somebody floods. An honest page that was just let in has answered its first byte long before 512 others came.
            let oldest_idle = open.1.iter().find(|(_, c)| c.busy.load(Ordering::Relaxed) == 0).map(|(n, _)| *n);
            match oldest_idle.and_then(|n| open.1.remove(&n)) {
                Some(idle) => idle.task.abort(),
                None => return, // all of them are at work: the new one is dropped
            }
        }
        let number = open.0;
        open.0 += 1;
        let guard = Registered { connections: self.clone(), number };
        let task = tokio::spawn({
            let busy = busy.clone();
            async move {
                let _guard = guard;
                serve(stream, remote, app, busy).await;
            }
        });
        open.1.insert(number, Open { task: task.abort_handle(), busy });
    }

    fn drop_all(&self) {
        for open in self.open.lock().unwrap_or_else(PoisonError::into_inner).1.values() {
            open.task.abort();
        }
    }
}

/// Takes a connection off the list when its task ends, however it ends.
struct Registered {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.number);
    }
}

async fn serve(stream: TcpStream, remote: SocketAddr, app: Arc<App>, busy: Arc<AtomicUsize>) {
    if tokio::time::timeout(FIRST_BYTE, stream.readable()).await.is_err() {
        return;
    }
    let Ok(local) = stream.local_addr() else { return };
    match peer::is_same_user(remote, local) {
        Ok(true) => {}
        Ok(false) => return tracing::warn!("a connection of another user was refused"),
        Err(error) => return tracing::warn!(%error, "whose connection it is cannot be told; it was refused"),
    }
    let _ = stream.set_nodelay(true);
    let upgraded = Arc::new(AtomicBool::new(false));
    let switched = upgraded.clone();
    let service = service_fn(move |request| {
        let (app, busy, switched) = (app.clone(), Busy::begin(busy.clone()), switched.clone());
        async move {
            let answer = router::answer(app, request).await;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                // What follows are no heads.
                switched.store(true, Ordering::Relaxed);
            }
            Ok::<_, Infallible>(answer.map(|body| body.during(busy)))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(super::head::MAX_HEADERS + 1)
        .max_buf_size(64 << 10)
        .keep_alive(true)
        .serve_connection(TokioIo::new(Strict { stream, scanner: HeadScanner::default(), upgraded }), service)
        .with_upgrades();
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Marks a connection as at work while it lives.
#[derive(Debug)]
pub struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn begin(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection whose heads are looked at before the library reads them. A head that is refused reaches it as a NUL, which it
/// answers with 400 and the end of the connection.
struct Strict {
    stream: TcpStream,
    scanner: HeadScanner,
    /// Set once the connection speaks WebSocket.
    upgraded: Arc<AtomicBool>,
}

impl AsyncRead for Strict {
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

impl AsyncWrite for Strict {
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
