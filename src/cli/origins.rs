//! `sealagent origins`: which web sites may call the agent, and taking that back.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::{FAILED, Problem};
use crate::audit::{Audit, Event};
use crate::config::Config;
use crate::consent::grants::{Grant, Grants};
use crate::consent::text::date;
use crate::consent::{Origin, Requester};
use crate::failure::Language;
use crate::views::OriginView;

/// Arguments of `origins`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// End all pairings of a web site. It must be paired anew before it can ask again; an agent that runs obeys at once.
    Revoke {
        /// Scheme, host and port, as listed.
        #[arg(value_parser = Origin::parse)]
        origin: Origin,
    },
}

/// Runs `origins`.
pub fn run(config: &Config, args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let grants = Grants::new(config.places.pairings());
    match &args.command {
        Some(Command::Revoke { origin }) => revoke(config, &grants, origin, language),
        None => list(config, &grants.list(Timestamp::now())?, args.json, language),
    }
}

fn list(config: &Config, grants: &[Grant], json: bool, language: Language) -> Result<ExitCode, Problem> {
    let views = OriginView::all(&config.http, grants);
    if json {
        println!("{}", serde_json::to_string(&views).map_err(std::io::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    for view in views {
        let since = match view.paired {
            None => language.pick("allowed by the configuration", "由配置允许").to_owned(),
            Some(paired) => format!("{} {}", language.pick("paired", "配对于"), date(paired)),
        };
        let once = if view.once { language.pick("  (once)", "  （仅本次）") } else { "" };
        let label = view.label.as_ref().map(|label| format!("  {label}")).unwrap_or_default();
        println!("{}  {since}{once}{label}", view.origin);
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(config: &Config, grants: &Grants, origin: &Origin, language: Language) -> Result<ExitCode, Problem> {
    let count = grants.revoke(origin)?;
    if count > 0 {
        // Ended first: a record that cannot be written must not keep a web site allowed.
        let line = Event::of_revocation(origin, Requester::CommandLine, &crate::config::user());
        let written = Audit::open(&config.places.audit()).and_then(|audit| audit.append(Timestamp::now(), &line));
        written.map_err(|e| {
            Problem::new(FAILED, e, language.pick("the pairings are ended all the same", "配对已撤销，但未能写入记录"))
        })?;
    }
    if config.http.origins.contains(origin) || config.http.digest_only.contains(origin) {
        let what = language.pick(
            "this web site is allowed by the configuration or the policy, and stays allowed",
            "该网站由配置或策略允许，仍可使用",
        );
        return Err(Problem::new(FAILED, what, language.pick("remove it from [http] there", "请从其中的 [http] 部分删除")));
    }
    if count == 0 {
        let what = language.pick("this web site is not paired", "该网站没有配对");
        return Err(Problem::new(FAILED, what, language.pick("see: sealagent origins", "请查看：sealagent origins")));
    }
    Ok(ExitCode::SUCCESS)
}
