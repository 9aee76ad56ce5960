//! `verify-service`.

use std::io::Write as _;
use std::time::Duration;

use sealauthority::verify_service::{Limits, StartError, VerifyService, serve};

use super::Failure;
use super::arguments;

/// Runs `verify-service` until SIGTERM or Ctrl-C; then answers what it has.
pub fn run(arguments: arguments::VerifyService) -> Result<String, Failure> {
    let limits = Limits {
        bytes: arguments.max_mib << 20,
        requests: arguments.concurrent.into(),
        exchange: Duration::from_secs(arguments.seconds),
    };
    let service = VerifyService { trust: arguments.trust, scratch: arguments.scratch, limits };
    let internal = |reason: std::io::Error| Failure::new("internal", &[("reason", &reason)]);
    let runtime = tokio::runtime::Runtime::new().map_err(internal)?;
    let bound = |address| {
        println!("http://{address}/");
        let _ = std::io::stdout().flush();
    };
    let served = runtime.block_on(async {
        let stop = stopped().map_err(internal)?;
        serve(service, arguments.listen, stop, bound).await.map_err(|error| match &error {
            StartError::Address { address, source } => Failure::new("address", &[("address", address), ("reason", source)]),
            StartError::Trust(reason) => Failure::new("trust", &[("reason", reason)]),
            _ => Failure::new("scratch", &[("reason", &error)]),
        })
    });
    // A file that is still being judged, after everybody stopped waiting for it, is not waited for either.
    runtime.shutdown_background();
    served.map(|()| String::new())
}

/// Completes when the process is asked to end.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        let by_keyboard = async {
            // Without a handler for it there is only the other way.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        #[cfg(unix)]
        tokio::select! {
            () = by_keyboard => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        by_keyboard.await;
    })
}
