//! Connections that are taken, so many at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Takes connections for ever and speaks on each, on a task of its own that holds one of the places. Without a place left, further ones wait
/// in the system's queue.
pub(crate) async fn take<F>(listener: &TcpListener, places: Arc<Semaphore>, speak: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let speaking = speak(stream);
                tokio::spawn(async move {
                    speaking.await;
                    drop(place);
                });
            }
            // A connection that broke before it was accepted, or no descriptor left: the next one may come.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
