//! `sealagent open`: the agent's own pages in the browser, by a link that works once.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;

use super::{FAILED, Problem};
use crate::config::Config;
use crate::demo::browser;
use crate::failure::Language;
use crate::http::pages::link::{Links, PortFile};
use crate::http::peer;

/// How long the agent may take to answer: it is on this machine.
const ANSWER: Duration = Duration::from_secs(5);

/// Arguments of `open`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which page.
    #[arg(value_enum, default_value_t = View::Verify)]
    pub view: View,
    /// Print the link instead of opening it. It works once, within a minute.
    #[arg(long)]
    pub print: bool,
}

/// A page.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum View {
    Verify,
    Sign,
    Seals,
    Settings,
    History,
    Diagnose,
}

/// Runs `open`.
pub fn run(config: &Config, args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let start = language.pick("start it with: sealagent run", "请先启动：sealagent run");
    let not_running = || Problem::new(FAILED, language.pick("the agent is not running", "本机代理未运行"), start);
    let port = PortFile::read(&config.places).ok_or_else(not_running)?;
    match is_own_agent(port) {
        Ok(true) => {}
        Ok(false) => {
            let what = language.pick("another user's program listens on the agent's port", "代理的端口被其他用户的程序占用");
            return Err(Problem::new(FAILED, what, start));
        }
        Err(_) => return Err(not_running()),
    }
    let token = Links::new(&config.places).create(Timestamp::now())?;
    let view = args.view.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    // Behind `#`: a browser sends it to nobody, and the page takes it out of its address at once.
    let url = format!("http://127.0.0.1:{port}/app/{view}#{token}");
    if args.print {
        println!("{url}");
        return Ok(ExitCode::SUCCESS);
    }
    let is_open = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(browser::open(&url));
    if !is_open {
        println!(
            "{}",
            language.pick(
                "no browser could be started; open this address within a minute:",
                "无法启动浏览器，请在一分钟内打开此地址："
            )
        );
        println!("{url}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether it is this user's agent that answers: a port that was told a while ago may be somebody else's by now (attack item 44).
fn is_own_agent(port: u16) -> io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(format!("GET /app/verify HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes())?;
    // The kernel knows whose connection it is once a program has taken it, which its first bytes prove.
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(&head == b"HTTP/1.1 200" && peer::is_same_user(address, stream.local_addr()?)?)
}
