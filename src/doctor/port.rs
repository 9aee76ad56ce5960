//! Whether the agent's port can be had, and who has it if not.

use std::fmt::Display;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde::Deserialize;

use super::check::{Check, Finding};
use crate::config::{FIRST_PORT, Http, LAST_PORT};
use crate::failure::Language;

/// Whoever has the port answers within this time, or is no agent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most of an answer that is read: an agent's has some hundred bytes.
const MAX_ANSWER: u64 = 16 << 10;

/// Who has a port.
enum Owner {
    Nobody,
    /// An agent of this user; its version, where this may be known.
    Ours(Option<String>),
    Other,
    /// The system does not give it to this user.
    Refused(io::Error),
}

/// The one port that the configuration names, else those that are tried, up to the first that serves.
pub fn checks(http: &Http, language: Language) -> Vec<Check> {
    let check = |finding, values: &[(&str, &dyn Display)]| Check::new(finding, language, values);
    let by = |port| taker(port).unwrap_or_else(|| language.pick("another program", "其他程序").to_owned());
    let mut out = Vec::new();
    let (first, last) = http.port.map_or((FIRST_PORT, LAST_PORT), |port| (port, port));
    for port in first..=last {
        match owner(port, http) {
            Owner::Nobody => return [out, vec![check(Finding::PortFree, &[("port", &port)])]].concat(),
            Owner::Ours(version) => {
                let version = version.map_or_else(String::new, |version| format!("(sealagent {version})"));
                return [out, vec![check(Finding::PortOurs, &[("port", &port), ("version", &version)])]].concat();
            }
            Owner::Refused(error) => out.push(check(Finding::PortRefused, &[("port", &port), ("problem", &error)])),
            Owner::Other if http.port.is_some() => out.push(check(Finding::PortTaken, &[("port", &port), ("by", &by(port))])),
            Owner::Other if port == last => out.push(check(Finding::PortsAllTaken, &[("by", &by(port))])),
            Owner::Other => out.push(check(Finding::PortTakenNext, &[("port", &port), ("by", &by(port))])),
        }
    }
    out
}

fn owner(port: u16, http: &Http) -> Owner {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(address) {
        Ok(_) => Owner::Nobody,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            ask(address, http).map_or(Owner::Other, |info| Owner::Ours(info.version))
        }
        Err(error) => Owner::Refused(error),
    }
}

/// What `GET /v1/info` of an agent says.
#[derive(Deserialize)]
struct Info {
    product: String,
    #[serde(default)]
    version: Option<String>,
}

/// Asks as a page would: an allowed one is told the version, too. An agent of another user answers nothing.
fn ask(address: SocketAddr, http: &Http) -> Option<Info> {
    let origin = http.origins.first().map_or("http://127.0.0.1", |origin| origin.as_str());
    let request =
        format!("GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n", address.port());
    let exchange = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().ok()?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let info: Info = serde_json::from_slice(&answer[body..]).ok()?;
    (info.product == "sealagent").then_some(info)
}

/// The program that listens on the port and its user, as far as this user may know.
#[cfg(target_os = "linux")]
fn taker(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let (user, socket) = tables.iter().find_map(|table| listener(table, port))?;
    let user = crate::config::user_of_number(user);
    Some(match process_with(&socket) {
        Some(program) => format!("{program}, {user}"),
        None => user,
    })
}

/// The other systems tell this only to calls that are not worth their lines here.
#[cfg(not(target_os = "linux"))]
fn taker(_port: u16) -> Option<String> {
    None
}

/// User and socket of the row that listens on the port: `sl local_address rem_address st … uid timeout inode`.
#[cfg(target_os = "linux")]
fn listener(table: &str, port: u16) -> Option<(u32, String)> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|row| {
        let fields: Vec<_> = row.split_ascii_whitespace().collect();
        let own = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
        if own != port || *fields.get(3)? != LISTEN {
            return None;
        }
        Some((fields.get(7)?.parse().ok()?, format!("socket:[{}]", fields.get(9)?)))
    })
}

/// Name and number of the process that has the socket open.
#[cfg(target_os = "linux")]
fn process_with(socket: &str) -> Option<String> {
    let has = |process: &std::path::Path| {
        let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.into_iter().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket))
    };
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let numbered = entries.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    let process = numbered.map(|entry| entry.path()).find(|path| has(path))?;
    let name = std::fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("{} ({})", name.trim_end(), process.file_name()?.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(port: u16) -> Http {
        let places = crate::config::Places { data: "/d".into(), state: "/s".into() };
        Http { port: Some(port), ..crate::config::Config::empty(places).http }
    }

    #[test]
    fn a_free_port_is_free_and_a_taken_one_names_its_taker() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = listener.try_clone().unwrap();
        // Answers with what is no agent's.
        let answers = std::thread::spawn(move || {
            let (mut stream, _) = own.accept().unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"product\": \"another\"}");
        });
        let checks = super::checks(&http(port), Language::English);
        answers.join().unwrap();
        assert_eq!(checks[0].finding, Finding::PortTaken);
        assert!(checks[0].what.contains(&port.to_string()), "{}", checks[0].what);
        #[cfg(target_os = "linux")]
        assert!(checks[0].what.contains(&std::process::id().to_string()), "our own process has it: {}", checks[0].what);
        drop(listener);
        assert_eq!(super::checks(&http(port), Language::English)[0].finding, Finding::PortFree);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_row_that_listens_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:43B1 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1001        0 7 1\n   \
            1: 0100007F:43B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 8 1\n";
        assert_eq!(listener(table, 17329), Some((1000, "socket:[8]".into())));
        assert_eq!(listener(table, 17330), None);
        assert_eq!(listener("sl\n0: x\n", 17329), None);
    }
}
