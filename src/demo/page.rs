//! The page, played: the calls that `sdk/js` makes for it, with the headers a browser adds and the rule it enforces, that an answer
//! without `Access-Control-Allow-Origin` for the page's origin never reaches it.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, HOST, HeaderMap, ORIGIN,
};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::DemoError;

/// Largest answer that is taken, in bytes: the sealed sample has some ten thousand.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A page of one origin, talking to the agent on one port.
#[derive(Debug)]
pub struct Page {
    port: u16,
    origin: String,
}

/// A request that was accepted.
#[derive(Debug)]
pub struct Asked {
    document: String,
    signature: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Page {
    /// A page of `origin`; the agent listens on `port`.
    pub fn new(port: u16, origin: String) -> Self {
        Self { port, origin }
    }

    /// Whether an agent answers.
    pub async fn agent_answers(&self) -> bool {
        self.json(Method::GET, "/v1/info", Bytes::new(), None).await.is_ok()
    }

    /// The codes of the seals that the agent offers.
    pub async fn seals(&self) -> Result<Vec<String>, DemoError> {
        let seals = self.json(Method::GET, "/v1/seals", Bytes::new(), None).await?;
        let seals = seals.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(seals.iter().filter_map(|seal| seal.get("esId")?.as_str().map(str::to_owned)).collect())
    }

    /// Hands the document over and asks for the seal.
    pub async fn ask_for_seal(&self, es_id: &str, name: &str, document: &[u8], stamp: &Value) -> Result<Asked, DemoError> {
        if !self.seals().await?.iter().any(|found| found == es_id) {
            return Err(DemoError::NoSeal);
        }
        self.preflight(Method::POST, "/v1/documents").await?;
        let path = format!("/v1/documents?name={}", percent_encoded(name));
        let answer = self.json(Method::POST, &path, Bytes::copy_from_slice(document), Some("application/ofd")).await?;
        let document = text(&answer, "documentId", &path)?;
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|_| DemoError::Random)?;
        let request = json!({
            "items": [{ "documentId": document, "seal": es_id, "stamp": stamp }],
            "idempotencyKey": format!("{:032x}", u128::from_be_bytes(key)),
        });
        let path = "/v1/signatures";
        let answer = self.json(Method::POST, path, Bytes::from(request.to_string()), Some("application/json")).await?;
        Ok(Asked { signature: text(&answer, "signatureId", path)?, document })
    }

    /// Waits for the person, then fetches the signed document.
    pub async fn signed_document(&self, asked: &Asked) -> Result<Bytes, DemoError> {
        let path = format!("/v1/signatures/{}?wait=20", asked.signature);
        let status = loop {
            let status = self.json(Method::GET, &path, Bytes::new(), None).await?;
            if !matches!(status.get("state").and_then(Value::as_str), Some("waiting" | "signing")) {
                break status;
            }
        };
        let state = text(&status, "state", &path)?;
        if state != "done" {
            let item = status.pointer("/items/0").cloned().unwrap_or_default();
            let part = |key| item.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
            return Err(DemoError::NotSigned { state, reason: format!("{} {}", part("code"), part("message")) });
        }
        let path = format!("/v1/signatures/{}/documents/{}", asked.signature, asked.document);
        Ok(self.accepted(Method::GET, &path, Bytes::new(), None).await?.body)
    }

    /// The agent's report on a document.
    pub async fn verify(&self, name: &str, document: Bytes) -> Result<Value, DemoError> {
        self.json(Method::POST, &format!("/v1/verifications?name={}", percent_encoded(name)), document, Some("application/ofd"))
            .await
    }

    async fn json(&self, method: Method, path: &str, body: Bytes, kind: Option<&str>) -> Result<Value, DemoError> {
        let answer = self.accepted(method, path, body, kind).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| DemoError::Call { request: path.to_owned(), reason: error.to_string() })
    }

    /// One call that must succeed, under the browser's rule.
    async fn accepted(&self, method: Method, path: &str, body: Bytes, kind: Option<&str>) -> Result<Answer, DemoError> {
        let request = format!("{method} {path}");
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, header(kind)?);
        }
        let answer = self.send(method, path, headers, body).await?;
        self.check_allowed(&request, &answer)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let said = String::from_utf8_lossy(&answer.body);
        Err(DemoError::Call { request, reason: format!("{} {said}", answer.status) })
    }

    /// The question that a browser asks before a call that could change something.
    async fn preflight(&self, method: Method, path: &str) -> Result<(), DemoError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_REQUEST_METHOD, header(method.as_str())?);
        headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, header("content-type")?);
        let answer = self.send(Method::OPTIONS, path, headers, Bytes::new()).await?;
        let request = format!("OPTIONS {path}");
        self.check_allowed(&request, &answer)?;
        let allows = |name, wanted: &str| {
            let value = answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
            value.split(',').any(|found| found.trim().eq_ignore_ascii_case(wanted))
        };
        match allows(ACCESS_CONTROL_ALLOW_METHODS, method.as_str()) && allows(ACCESS_CONTROL_ALLOW_HEADERS, "content-type") {
            true => Ok(()),
            false => Err(DemoError::CrossOrigin { request, origin: self.origin.clone() }),
        }
    }

    fn check_allowed(&self, request: &str, answer: &Answer) -> Result<(), DemoError> {
        match answer.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN) {
            Some(allowed) if allowed.as_bytes() == self.origin.as_bytes() => Ok(()),
            _ => Err(DemoError::CrossOrigin { request: request.to_owned(), origin: self.origin.clone() }),
        }
    }

    async fn send(&self, method: Method, path: &str, mut headers: HeaderMap, body: Bytes) -> Result<Answer, DemoError> {
        let failed = |reason: String| DemoError::Call { request: format!("{method} {path}"), reason };
        headers.insert(HOST, header(&format!("127.0.0.1:{}", self.port))?);
        headers.insert(ORIGIN, header(&self.origin)?);
        headers.insert("sec-fetch-mode", header("cors")?);
        headers.insert("sec-fetch-site", header("same-site")?);
        headers.insert("sec-fetch-dest", header("empty")?);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().map_err(|error| failed(format!("{error}")))?;
        *request.headers_mut() = headers;
        let exchange = async {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(|error| error.to_string())?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
            let connection = tokio::spawn(connection);
            let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| error.to_string())?.to_bytes();
            connection.abort();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        exchange.await.map_err(failed)
    }
}

fn header(text: &str) -> Result<hyper::header::HeaderValue, DemoError> {
    text.parse().map_err(|error| DemoError::Call { request: text.to_owned(), reason: format!("{error}") })
}

fn text(answer: &Value, key: &str, request: &str) -> Result<String, DemoError> {
    let missing = || DemoError::Call { request: request.to_owned(), reason: format!("no {key} in {answer}") };
    answer.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(missing)
}

/// As `encodeURIComponent` does it.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |out, b| match b {
        b if b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b) => out + char::from(b).encode_utf8(&mut [0; 4]),
        b => out + &format!("%{b:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_browsers_do() {
        assert_eq!(percent_encoded("合同 (1).ofd"), "%E5%90%88%E5%90%8C%20(1).ofd");
    }
}
