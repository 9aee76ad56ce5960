//! A question by HTTP, as a service that a test plays reads it.

use std::io::{self, Read};

/// Head and body of one request that says how long it is.
pub fn question(stream: &mut impl Read) -> io::Result<(String, Vec<u8>)> {
    let (mut request, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut block)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&block[..read]);
        let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).into_owned();
        let length = head.to_ascii_lowercase();
        let length: usize = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        if request.len() >= end + 4 + length {
            return Ok((head, request[end + 4..].to_vec()));
        }
    }
}
