//! The site that wants documents sealed: an origin of its own, on another port of 127.0.0.1 than the agent's. It knows nothing of
//! the agent but its address, and serves a handful of files.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Most connections at once; a browser opens six.
const MAX_CONNECTIONS: usize = 32;
/// A browser sends its request line and headers at once.
const HEAD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// What the site serves.
#[derive(Debug)]
pub struct Site {
    host: String,
    policy: HeaderValue,
    files: Vec<(&'static str, &'static str, Bytes)>,
}

impl Site {
    /// A site at `host` (`127.0.0.1:PORT`) whose page calls the agent on `agent_port`.
    pub fn new(host: &str, agent_port: u16, sample: Vec<u8>, sample_name: &str, stamp: &serde_json::Value) -> Self {
        let settings = serde_json::json!({ "ports": [agent_port], "sampleName": sample_name, "stamp": stamp }).to_string();
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self' http://127.0.0.1:{agent_port}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let fixed = |text: &'static str| Bytes::from_static(text.as_bytes());
        #[expect(clippy::expect_used, reason = "ASCII of this file and a loopback address")]
        let policy = HeaderValue::from_str(&policy).expect("a header");
        Self {
            host: host.to_owned(),
            policy,
            files: vec![
                ("/", "text/html; charset=utf-8", fixed(include_str!("assets/index.html"))),
                ("/style.css", "text/css; charset=utf-8", fixed(include_str!("assets/style.css"))),
                ("/app.js", "text/javascript; charset=utf-8", fixed(include_str!("assets/app.js"))),
                ("/sealagent.js", "text/javascript; charset=utf-8", fixed(include_str!("../../sdk/js/dist/sealagent.js"))),
                ("/place.js", "text/javascript; charset=utf-8", fixed(include_str!("../http/pages/assets/place.js"))),
                ("/seal.js", "text/javascript; charset=utf-8", fixed(include_str!("assets/seal.js"))),
                ("/texts.json", "application/json", fixed(include_str!("assets/texts.json"))),
                ("/demo.json", "application/json", Bytes::from(settings)),
                ("/sample.ofd", "application/ofd", Bytes::from(sample)),
            ],
        }
    }

    /// Serves until dropped.
    pub async fn serve(self: Arc<Self>, listener: &TcpListener) -> std::io::Error {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => return error,
            };
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let site = self.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(|request| {
                    let answer = site.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let mut server = hyper::server::conn::http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                // A browser that goes away is no concern of ours.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
                drop(place);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let is_ours = request.headers().get(HOST).is_some_and(|host| host.as_bytes() == self.host.as_bytes());
        let found = self.files.iter().find(|(path, _, _)| *path == request.uri().path());
        let (status, kind, body) = match found {
            _ if !is_ours => (StatusCode::MISDIRECTED_REQUEST, "text/plain", Bytes::new()),
            _ if request.method() != Method::GET => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::new()),
            Some((_, kind, body)) => (StatusCode::OK, *kind, body.clone()),
            None => (StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
        };
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
        answer
    }
}
