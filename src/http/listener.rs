//! Connections: taken in, counted, timed out, and the oldest idle ones dropped when there are too many.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::{App, peer, router};
use crate::config::{FIRST_PORT, FIRST_TLS_PORT, LAST_PORT, LAST_TLS_PORT};
use crate::server::Strict;
use crate::server::head::MAX_HEADERS;

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
    #[error("the ports {first} to {last} of 127.0.0.1 are all in use")]
    AllTaken {
        /// The first that was tried.
        first: u16,
        /// The last.
        last: u16,
    },
    /// The one port that the configuration names cannot be had.
    #[error("port {port} of 127.0.0.1 cannot be used: {source}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// A bound port of 127.0.0.1, and one for TLS beside it where the person wants that.
pub struct Listener {
    plain: Bound,
    tls: Option<(Bound, TlsAcceptor)>,
}

struct Bound {
    socket: TcpListener,
    port: u16,
}

impl Bound {
    async fn one_of(ports: RangeInclusive<u16>) -> Result<Self, ListenError> {
        let (first, last) = (*ports.start(), *ports.end());
        let mut error = ListenError::AllTaken { first, last };
        for port in ports {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            match bound.and_then(|socket| Ok((socket.local_addr()?.port(), socket))) {
                Ok((port, socket)) => return Ok(Self { socket, port }),
                Err(source) if first == last => error = ListenError::Port { port, source },
                Err(_) => {}
            }
        }
        Err(error)
    }
}

impl Listener {
    /// Binds `port`, or the first free one of [`FIRST_PORT`] to [`LAST_PORT`].
    pub async fn bind(port: Option<u16>) -> Result<Self, ListenError> {
        let plain = Bound::one_of(port.map_or(FIRST_PORT..=LAST_PORT, |port| port..=port)).await?;
        Ok(Self { plain, tls: None })
    }

    /// Answers by TLS too, on `port` or the first free one of [`FIRST_TLS_PORT`] to [`LAST_TLS_PORT`].
    pub async fn add_tls(&mut self, port: Option<u16>, server: Arc<ServerConfig>) -> Result<(), ListenError> {
        let bound = Bound::one_of(port.map_or(FIRST_TLS_PORT..=LAST_TLS_PORT, |port| port..=port)).await?;
        self.tls = Some((bound, TlsAcceptor::from(server)));
        Ok(())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.plain.port
    }

    /// The port for TLS, if there is one.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls.as_ref().map(|(bound, _)| bound.port)
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
                (accepted, way) = self.accept() => match accepted {
                    Ok((stream, remote)) => connections.clone().take(stream, remote, way, app.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                    }
                },
            }
        }
        connections.drop_all();
    }

    async fn accept(&self) -> (io::Result<(TcpStream, SocketAddr)>, Way) {
        let by_tls = async {
            match &self.tls {
                Some((bound, acceptor)) => (bound.socket.accept().await, Way { port: bound.port, tls: Some(acceptor.clone()) }),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.plain.socket.accept() => (accepted, Way { port: self.plain.port, tls: None }),
            accepted = by_tls => accepted,
        }
    }
}

/// How a connection came in.
struct Way {
    port: u16,
    tls: Option<TlsAcceptor>,
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
    fn take(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, way: Way, app: Arc<App>) {
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
                serve(stream, remote, way, app, busy).await;
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

async fn serve(stream: TcpStream, remote: SocketAddr, way: Way, app: Arc<App>, busy: Arc<AtomicUsize>) {
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
    match way.tls {
        None => speak(stream, way.port, app, busy).await,
        Some(acceptor) => match tokio::time::timeout(HEAD, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => speak(stream, way.port, app, busy).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => {}
        },
    }
}

/// HTTP on a connection whose user is known.
async fn speak<S>(stream: S, port: u16, app: Arc<App>, busy: Arc<AtomicUsize>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let upgraded = Arc::new(AtomicBool::new(false));
    let switched = upgraded.clone();
    let service = service_fn(move |request| {
        let (app, busy, switched) = (app.clone(), Busy::begin(busy.clone()), switched.clone());
        async move {
            let answer = router::answer(app, port, request).await;
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
        .max_headers(MAX_HEADERS + 1)
        .max_buf_size(64 << 10)
        .keep_alive(true)
        .serve_connection(TokioIo::new(Strict::new(stream, upgraded)), service)
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
