//! `sealagent tls`: makes and removes the certificate with which the agent answers on `https://127.0.0.1` too.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::{FAILED, Output, Problem};
use crate::config::{Config, FIRST_TLS_PORT, LAST_TLS_PORT};
use crate::consent::text::date;
use crate::failure::Language;
use crate::tls::{Tls, TlsError, TlsStatus};

/// `tls create`, `tls remove`, `tls status`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a certificate for this computer alone, and say how a browser comes to trust it. Nothing is installed anywhere.
    Create,
    /// Remove it. Browsers that were told to trust it should be told otherwise.
    Remove,
    /// Show what there is.
    Status(Output),
}

/// Runs `tls …`.
pub fn run(config: &Config, command: &Command, language: Language) -> Result<ExitCode, Problem> {
    let tls = Tls::new(config.places.tls());
    let failed = |error: TlsError| {
        let hint = match error {
            TlsError::Exists => language.pick("see: sealagent tls status", "请查看：sealagent tls status"),
            _ => "",
        };
        Problem::new(FAILED, error, hint)
    };
    match command {
        Command::Create if !config.http.tls => {
            let hint = language.pick("[policy] tls = true allows it", "可在 [policy] 中设置 tls = true 允许");
            Err(Problem::new(FAILED, language.pick("the policy of this computer forbids it", "本机策略禁止此操作"), hint))
        }
        Command::Create => {
            show(&tls.create(Timestamp::now()).map_err(failed)?, language);
            trust(&tls, language);
            Ok(ExitCode::SUCCESS)
        }
        Command::Remove => {
            if !tls.remove()? {
                return Err(Problem::new(FAILED, language.pick("there is no certificate", "没有证书"), ""));
            }
            println!(
                "{}",
                language.pick("Removed. Take it out of the browsers that trusted it:", "已删除。请在曾信任它的浏览器中移除：")
            );
            println!("  Linux    certutil -D -d sql:$HOME/.pki/nssdb -n sealagent-localhost");
            println!("  Windows  certutil -user -delstore Root \"sealagent on this computer only\"");
            Ok(ExitCode::SUCCESS)
        }
        Command::Status(output) => {
            let status = tls.status().map_err(failed)?;
            if output.json {
                println!("{}", serde_json::to_string(&status).map_err(std::io::Error::from)?);
            } else {
                match status {
                    Some(status) => show(&status, language),
                    None => println!("{}", language.pick("no certificate; no TLS", "没有证书，未启用 TLS")),
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn show(status: &TlsStatus, language: Language) {
    println!("{}", status.authority.display());
    println!("SHA-256 {}", status.sha256);
    println!("{} {} – {}", language.pick("valid", "有效期"), date(status.valid_from), date(status.valid_to));
    println!("https://127.0.0.1:{FIRST_TLS_PORT} … {LAST_TLS_PORT}");
}

fn trust(tls: &Tls, language: Language) {
    let file = tls.authority();
    println!();
    println!(
        "{}",
        language.pick(
            "Restart sealagent. To let your browser trust it, and only if you need it:",
            "请重新启动 sealagent。如确有需要，可让浏览器信任该证书："
        )
    );
    println!("  Linux    certutil -A -d sql:$HOME/.pki/nssdb -n sealagent-localhost -t C,, -i '{}'", file.display());
    println!("  Windows  certutil -user -addstore Root \"{}\"", file.display());
}
