//! Whose connection it is: only the user that this agent runs as is served (I5, attack item 43).
//!
//! Loopback is shared by all users of a machine. The kernel knows the owner of the other end of a connection; nothing that the other
//! end sends is believed.

use std::io;
use std::net::SocketAddr;

/// Whether the process at the other end of a loopback connection belongs to this user (Linux) or this session (Windows).
///
/// `remote` and `local` are the two ends as this end sees them. A connection that the system does not know any more is refused.
pub fn is_same_user(remote: SocketAddr, local: SocketAddr) -> io::Result<bool> {
    if !remote.ip().is_loopback() {
        return Ok(false);
    }
    os::is_same_user(remote, local)
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs;
    use std::io;
    use std::net::SocketAddr;

    use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

    /// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    /// `NLM_F_REQUEST` of linux/netlink.h
    const NLM_F_REQUEST: u16 = 1;
    /// `IPPROTO_TCP`
    const TCP: u8 = 6;
    /// Offset of `idiag_uid` in the answer: netlink header, then `inet_diag_msg` up to it.
    const UID: usize = 16 + 4 + 48 + 12;

    pub fn is_same_user(remote: SocketAddr, local: SocketAddr) -> io::Result<bool> {
        // The socket that the other process holds has our ends the other way round.
        let owner = match ask_kernel(remote, local) {
            Ok(owner) => owner,
            Err(error) => {
                tracing::debug!(%error, "sock_diag gave no answer; reading the table of connections");
                read_table(remote, local)?
            }
        };
        Ok(owner == Some(rustix::process::geteuid().as_raw()))
    }

    /// Asks for that one socket by `NETLINK_SOCK_DIAG`; `None` when there is none (any more).
    pub(super) fn ask_kernel(own: SocketAddr, other: SocketAddr) -> io::Result<Option<u32>> {
        let (SocketAddr::V4(own), SocketAddr::V4(other)) = (own, other) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
        // nlmsghdr, then inet_diag_req_v2 with inet_diag_sockid (linux/inet_diag.h)
        let mut request = Vec::with_capacity(72);
        request.extend(72u32.to_ne_bytes());
        request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request.extend(NLM_F_REQUEST.to_ne_bytes());
        request.extend([0; 8]);
        request.extend([AddressFamily::INET.as_raw() as u8, TCP, 0, 0]);
        request.extend(u32::MAX.to_ne_bytes()); // any state
        request.extend(own.port().to_be_bytes());
        request.extend(other.port().to_be_bytes());
        for address in [own, other] {
            request.extend(address.ip().octets());
            request.extend([0; 12]);
        }
        request.extend([0; 4]); // any interface
        request.extend([0xff; 8]); // INET_DIAG_NOCOOKIE
        sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answer = [0; 1024];
        let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
        let answer = answer.get(..length).unwrap_or_default();
        match answer.get(4..6).map(|kind| u16::from_ne_bytes([kind[0], kind[1]])) {
            Some(SOCK_DIAG_BY_FAMILY) => {
                let uid = answer.get(UID..UID + 4).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Some(u32::from_ne_bytes([uid[0], uid[1], uid[2], uid[3]])))
            }
            // NLMSG_ERROR with -ENOENT: no such socket
            Some(2) if answer.get(16..20) == Some(&(-2i32).to_ne_bytes()) => Ok(None),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The same from `/proc/net/tcp` and, for a client whose socket is of the other family, `/proc/net/tcp6`.
    pub(super) fn read_table(own: SocketAddr, other: SocketAddr) -> io::Result<Option<u32>> {
        if let Some(uid) = find(&fs::read_to_string("/proc/net/tcp")?, own, other) {
            return Ok(Some(uid));
        }
        Ok(fs::read_to_string("/proc/net/tcp6").ok().and_then(|table| find(&table, own, other)))
    }

    /// The owner in the one row whose two ends are these: `sl local_address rem_address st … uid`.
    pub(super) fn find(table: &str, own: SocketAddr, other: SocketAddr) -> Option<u32> {
        let (SocketAddr::V4(own), SocketAddr::V4(other)) = (own, other) else { return None };
        let written = |address: std::net::SocketAddrV4| {
            let ip = u32::from_ne_bytes(address.ip().octets());
            let v4 = format!("{ip:08X}:{:04X}", address.port());
            // ::ffff:a.b.c.d, four words in the machine's byte order
            let v6 = format!("{:08X}{:08X}{:08X}{v4}", 0, 0, u32::from_ne_bytes([0, 0, 0xff, 0xff]));
            (v4, v6)
        };
        let (own, other) = (written(own), written(other));
        table.lines().skip(1).find_map(|row| {
            let mut fields = row.split_ascii_whitespace().skip(1);
            let ends = (fields.next()?, fields.next()?);
            let same = ends == (own.0.as_str(), other.0.as_str()) || ends == (own.1.as_str(), other.1.as_str());
            if same { fields.nth(4)?.parse().ok() } else { None }
        })
    }
}

#[cfg(windows)]
#[allow(unsafe_code, reason = "calls of the Windows API")]
mod os {
    use std::io;
    use std::net::SocketAddr;

    use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, NO_ERROR};
    use windows_sys::Win32::NetworkManagement::IpHelper::{
        GetExtendedTcpTable, MIB_TCPROW_OWNER_PID, TCP_TABLE_OWNER_PID_CONNECTIONS,
    };
    use windows_sys::Win32::Networking::WinSock::AF_INET;
    use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;

    /// Rows of the table start after their count.
    const ROWS: usize = 4;

    pub fn is_same_user(remote: SocketAddr, local: SocketAddr) -> io::Result<bool> {
        let Some(process) = owner(remote, local)? else { return Ok(false) };
        Ok(session(process)? == session(std::process::id())?)
    }

    /// The process whose socket has these two ends.
    fn owner(own: SocketAddr, other: SocketAddr) -> io::Result<Option<u32>> {
        let (SocketAddr::V4(own), SocketAddr::V4(other)) = (own, other) else { return Ok(None) };
        let table = table()?;
        let number = |at: usize| -> Option<u32> { table.get(at..at + 4).map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]])) };
        let size = size_of::<MIB_TCPROW_OWNER_PID>();
        let count = number(0).unwrap_or(0) as usize;
        // dwState, dwLocalAddr, dwLocalPort, dwRemoteAddr, dwRemotePort, dwOwningPid; addresses and ports in network order
        for row in (0..count).map(|n| ROWS + n * size) {
            let end = |at: usize| Some((number(row + at)?.to_ne_bytes(), (number(row + at + 4)? as u16).to_be()));
            let is = |at, address: std::net::SocketAddrV4| end(at) == Some((address.ip().octets(), address.port()));
            if is(4, own) && is(12, other) {
                return Ok(number(row + 20));
            }
        }
        Ok(None)
    }

    fn table() -> io::Result<Vec<u8>> {
        let mut size = 64 << 10;
        for _ in 0..4 {
            let mut table = vec![0u8; size as usize];
            // SAFETY: the buffer has the size that is given, and the call writes no more than that.
            let result = unsafe {
                GetExtendedTcpTable(table.as_mut_ptr().cast(), &mut size, 0, AF_INET.into(), TCP_TABLE_OWNER_PID_CONNECTIONS, 0)
            };
            match result {
                NO_ERROR => return Ok(table),
                ERROR_INSUFFICIENT_BUFFER => size += 16 << 10, // it may have grown meanwhile
                error => return Err(io::Error::from_raw_os_error(error as i32)),
            }
        }
        Err(io::ErrorKind::OutOfMemory.into())
    }

    fn session(process: u32) -> io::Result<u32> {
        let mut session = 0;
        // SAFETY: `session` is a valid place for the one number that the call writes.
        if unsafe { ProcessIdToSessionId(process, &mut session) } == 0 { Err(io::Error::last_os_error()) } else { Ok(session) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Attack item 43.
    #[test]
    fn the_owner_of_the_other_end_is_found_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, remote) = listener.accept().unwrap();
        let local = server.local_addr().unwrap();
        let me = Some(rustix::process::geteuid().as_raw());
        assert_eq!(os::read_table(remote, local).unwrap(), me);
        assert!(is_same_user(remote, local).unwrap());
        let other: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert!(!is_same_user(other, local).unwrap(), "an unknown end is nobody's");
        drop(client);
    }

    #[test]
    fn rows_are_matched_by_both_ends() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:D431 0100007F:43B1 01 00000000:00000000 00:00000000 00000000  1000        0 1 1\n   \
            1: 0100007F:43B1 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1001        0 2 1\n";
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (client, agent) = (address("127.0.0.1:54321"), address("127.0.0.1:17329"));
        assert_eq!(os::find(table, client, agent), Some(1000));
        assert_eq!(os::find(table, agent, client), Some(1001));
        assert_eq!(os::find(table, address("127.0.0.1:54322"), agent), None);
        assert_eq!(os::find("", client, agent), None);
    }

    #[test]
    fn peers_beyond_loopback_are_refused_without_a_question() {
        let local = "127.0.0.1:17329".parse().unwrap();
        assert!(!is_same_user("192.168.1.5:1000".parse().unwrap(), local).unwrap());
    }
}
