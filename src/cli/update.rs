//! `sealagent update check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::{FAILED, Problem, UNREADABLE};
use crate::config::Config;
use crate::failure::Language;
use crate::harmless;
use crate::update::{self, UpdateError};

/// `update check`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether the signed manifest that the policy names offers a newer version.
    Check {
        /// A package that was brought onto this machine: say whether it is the one that is offered, whole and unchanged.
        #[arg(long, value_name = "FILE")]
        package: Option<PathBuf>,
    },
}

/// Runs `update …`.
pub fn run(config: &Config, command: &Command, language: Language) -> Result<ExitCode, Problem> {
    let Command::Check { package } = command;
    let Some(channel) = &config.update else {
        return Err(Problem::new(
            FAILED,
            language.pick("checking for updates is switched off", "未启用更新检查"),
            language.pick(
                "IT switches it on: [update] with manifest and key in the policy; packages are installed as always",
                "由管理员在策略中设置 [update] 的 manifest 和 key；安装仍通过软件包进行",
            ),
        ));
    };
    let wrong = |error: UpdateError| {
        let exit = if matches!(error, UpdateError::Io { .. }) { UNREADABLE } else { FAILED };
        let hint = language.pick("ask your IT department; nothing was changed", "请联系管理员；本机未作任何更改");
        Problem::new(exit, error, hint)
    };
    let manifest = update::check(channel, &config.places.data, Timestamp::now()).map_err(wrong)?;
    if let Some(package) = package {
        manifest.check_package(package).map_err(wrong)?;
        println!("✔ {}", package.display());
    }
    let version = harmless::line(&manifest.version);
    if manifest.is_newer() {
        println!("{} {version}", language.pick("a newer version is offered:", "有新版本："));
        for package in &manifest.packages {
            println!("    {}  SM3 {}", harmless::line(&package.file), package.sm3);
        }
    } else {
        println!("{} ({version})", language.pick("this is the newest version", "已是最新版本"));
    }
    Ok(ExitCode::SUCCESS)
}
