//! A card in one of vpcd's virtual readers: it connects to the reader's port, and pulling it out is closing the connection.
//!
//! Messages both ways: length of two bytes, big-endian, then the bytes. One byte from vpcd is a control code, anything else a command.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use crate::{ATR, Card, Outcome, Switches};

const POWER_OFF: u8 = 0;
const POWER_ON: u8 = 1;
const RESET: u8 = 2;
const GIVE_ATR: u8 = 4;

/// A card that is in a reader. Dropping it pulls the card out.
pub struct Inserted {
    card: Arc<Mutex<Card>>,
    stream: TcpStream,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Inserted {
    /// Puts a card into the reader that listens on this port of the loopback address.
    pub fn new(port: u16, card: Card) -> io::Result<Self> {
        let card = Arc::new(Mutex::new(card));
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        let mut own = stream.try_clone()?;
        let own_card = Arc::clone(&card);
        let thread = thread::spawn(move || {
            let served = serve(&mut own, &own_card);
            let _ = own.shutdown(Shutdown::Both); // it may be shut already
            served
        });
        Ok(Self { card, stream, thread: Some(thread) })
    }

    /// Changes the card's switches while it is in; calls are counted from here on.
    pub fn set(&self, change: impl FnOnce(&mut Switches)) {
        lock(&self.card).set(change);
    }

    /// Waits until the reader goes, or until a fault pulls the card out.
    pub fn wait(mut self) -> io::Result<()> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }
}

impl Drop for Inserted {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both); // it may be shut already
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(card: &Mutex<Card>) -> MutexGuard<'_, Card> {
    card.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &mut TcpStream, card: &Mutex<Card>) -> io::Result<()> {
    loop {
        let mut len = [0; 2];
        match read(stream, &mut len) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            result => result?,
        }
        let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
        read(stream, &mut message)?;
        let answer = match message.as_slice() {
            [POWER_OFF | POWER_ON | RESET] => {
                lock(card).reset();
                continue;
            }
            [GIVE_ATR] => ATR.to_vec(),
            command => match lock(card).exchange(command) {
                Outcome::Answer(answer) => answer,
                Outcome::Removed => return Ok(()),
                // Until the other side closes.
                Outcome::Hang => return io::copy(stream, &mut io::sink()).map(drop),
            },
        };
        let len = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        stream.write_all(&[&len.to_be_bytes(), answer.as_slice()].concat())?;
    }
}

/// vpcd writes length and body apart, and the kernel holds its acknowledgement back for 40 ms between the two. The option that
/// forbids this is not kept by the kernel, so it is set around each read.
fn read(stream: &mut TcpStream, out: &mut [u8]) -> io::Result<()> {
    acknowledge_at_once(stream);
    stream.read_exact(out)?;
    acknowledge_at_once(stream);
    Ok(())
}

#[cfg(target_os = "linux")]
fn acknowledge_at_once(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true); // only slower without
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_stream: &TcpStream) {}
