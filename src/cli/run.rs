//! `sealagent run`: serves web pages of this machine until stopped.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Builder;

use super::{FAILED, Problem};
use crate::agent::{Agent, Means};
use crate::config::Config;
use crate::failure::Language;
use crate::http::pages::link::PortFile;
use crate::http::{App, Listener};
use crate::tls::Tls;

/// Runs `run`.
pub fn run(config: Config, language: Language) -> Result<ExitCode, Problem> {
    // Sockets, pipes and timers: two threads on any machine. Work for the processor has the blocking pool, whose threads end when idle.
    Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let mut listener = Listener::bind(config.http.port).await.map_err(|error| {
            let hint = language.pick(
                "end the other program, or name another port in the configuration",
                "请结束占用端口的程序，或在配置中指定其他端口",
            );
            Problem::new(FAILED, error, hint)
        })?;
        if let Err(error) = crate::log::keep(&config.places.log()) {
            tracing::warn!(%error, "the log is not kept");
        }
        if let Err(error) = add_tls(&mut listener, &config).await {
            tracing::error!(error, "no https");
        }
        let means = Means::of_system(&config, language)?;
        let agent = Agent::start(config, means)?;
        let (audit, now, days) = (agent.signer.audit.clone(), (agent.signer.clock)(), agent.signer.config.audit.keep_days);
        match tokio::task::spawn_blocking(move || audit.prune(now, days)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(months)) => tracing::info!(months, "old months of the record were removed"),
            Ok(Err(error)) => tracing::warn!(%error, "old months of the record cannot be removed"),
            Err(error) => tracing::error!(%error, "removing old months ended unexpectedly"),
        }
        let _fetching = agent.signer.config.fetch.fetcher().map(|fetcher| {
            let clock = agent.signer.clock.clone();
            tokio::spawn(agent.signer.trust.clone().keep_fresh(fetcher, clock))
        });
        // For `sealagent open`; without it the agent does all else.
        let places = agent.signer.config.places.clone();
        let _port = PortFile::write(&places, listener.port())
            .inspect_err(|error| tracing::warn!(%error, "the port cannot be written down"));
        let app = Arc::new(App::new(agent.signer.clone(), listener.port()));
        println!("http://127.0.0.1:{}", listener.port());
        if let Some(port) = listener.tls_port() {
            println!("https://127.0.0.1:{port}");
        }
        listener.serve(app.clone(), stopped()).await;
        app.requests.cancel_all();
        agent.shut_down_after(app.requests.idle()).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Answers by TLS too, where a certificate was made for it. That it cannot be used is no reason to answer nobody.
async fn add_tls(listener: &mut Listener, config: &Config) -> Result<(), String> {
    let tls = Tls::new(config.places.tls());
    if !config.http.tls || !tls.exists() {
        return Ok(());
    }
    let server = tls.server().map_err(|error| error.to_string())?;
    listener.add_tls(config.http.tls_port, server).await.map_err(|error| error.to_string())
}

/// Completes when the program is asked to stop.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
