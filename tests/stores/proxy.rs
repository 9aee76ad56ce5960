//! A connection that breaks at the worst moment: when COMMIT is on its way.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// What becomes of the next COMMIT.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// It does not arrive.
    Before = 1,
    /// It arrives, and its answer does not.
    After = 2,
}

/// Stands between program and server.
pub struct Proxy {
    port: u16,
    cut: Arc<AtomicU8>,
    /// Of the server to which connections go.
    socket: Arc<Mutex<PathBuf>>,
}

impl Proxy {
    pub fn new(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicU8::new(0));
        let armed = Arc::clone(&cut);
        let socket = Arc::new(Mutex::new(socket));
        let server = Arc::clone(&socket);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                relay(client, &server.lock().unwrap().clone(), Arc::clone(&armed));
            }
        });
        Self { port, cut, socket }
    }

    /// New connections go to another server. The old ones stay.
    pub fn turn_to(&self, socket: PathBuf) {
        *self.socket.lock().unwrap() = socket;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn arm(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether a COMMIT came by since.
    pub fn has_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == 0
    }
}

fn relay(mut client: TcpStream, socket: &Path, cut: Arc<AtomicU8>) {
    let mut server = UnixStream::connect(socket).unwrap();
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut bytes = [0; 8192];
        while let Ok(n @ 1..) = from_server.read(&mut bytes) {
            let _ = to_client.write_all(&bytes[..n]);
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let mut bytes = [0; 8192];
        while let Ok(n @ 1..) = client.read(&mut bytes) {
            let is_commit = bytes[..n].windows(7).any(|window| window == b"COMMIT\0");
            let cut = if is_commit { cut.swap(0, Ordering::SeqCst) } else { 0 };
            if cut != 0 {
                client.shutdown(Shutdown::Both).unwrap();
            }
            if cut != Cut::Before as u8 {
                let _ = server.write_all(&bytes[..n]);
            }
            if cut != 0 {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Write);
    });
}
