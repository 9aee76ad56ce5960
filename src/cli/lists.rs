//! `sealagent tokens` and `sealagent seals`.

use std::process::ExitCode;

use super::{Output, Problem, with_agent};
use crate::agent::Agent;
use crate::config::Config;
use crate::consent::summary::Shown;
use crate::consent::text::date;
use crate::doctor::untested;
use crate::failure::Language;
use crate::seals::{self, Seals};
use crate::views::{SealView, TokenView};

async fn all(agent: &Agent) -> Seals {
    seals::all(&agent.signer.workers, &agent.signer.config.places.seals()).await
}

/// Runs `tokens`.
pub fn tokens(config: Config, output: Output, language: Language) -> Result<ExitCode, Problem> {
    let (known, drivers) =
        with_agent(config, None, language, async |agent: &Agent| (all(agent).await, agent.signer.workers.status()))?;
    let hint = language.pick("hint: ", "提示：");
    for (driver, error) in &known.tokens.failures {
        eprintln!("{hint}{driver}: {error}");
    }
    for driver in drivers.iter().filter(|driver| known.tokens.tokens.iter().any(|token| token.driver == driver.name)) {
        if let Some(check) = untested(driver, language) {
            eprintln!("{hint}{}", check.what);
        }
    }
    let views = TokenView::all(&known);
    if output.json {
        println!("{}", serde_json::to_string(&views).map_err(std::io::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    for view in views {
        let tries = match (view.pin.blocked, view.pin.tries_left) {
            (true, _) => language.pick("PIN locked", "口令已锁定").to_owned(),
            (_, Some(tries)) => format!("{} {tries}", language.pick("tries left:", "剩余尝试次数：")),
            (_, None) => String::new(),
        };
        println!("{}  {}  {}  {}  {tries}", view.id, view.label, view.manufacturer, view.serial);
        for key in view.keys {
            println!("    {}  {} {}", key.signer, language.pick("valid to", "有效至"), date(key.valid_to));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `seals`.
pub fn seals(config: Config, output: Output, language: Language) -> Result<ExitCode, Problem> {
    let (known, now) = with_agent(config, None, language, async |agent: &Agent| (all(agent).await, (agent.signer.clock)()))?;
    let views = SealView::all(&known, now);
    if output.json {
        println!("{}", serde_json::to_string(&views).map_err(std::io::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    for view in views {
        let token = view.token.as_ref().map_or(Shown::new(language.pick("absent", "UKey 未插入")), |t| Shown::new(&t.0));
        println!("{}  {}  {}  {token}", view.es_id, view.name, date(view.valid_to));
    }
    Ok(ExitCode::SUCCESS)
}
