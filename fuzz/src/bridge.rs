//! What web pages, the user and the IT department send in as text: requests, credentials, pairing files, stream frames, configuration.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sealagent::config::Config;
use sealagent::consent::grants::Grant;
use sealagent::consent::{Origin, Requester};
use sealagent::http::api::SignatureBody;
use sealagent::http::pairing::PairingBody;
use sealagent::http::{credential, websocket};

/// JSON bodies of pages (src/http/api.rs, src/http/pairing.rs): whatever is asked for, no document is found, so nothing may come of it
/// but digests.
pub fn json_request(bytes: &[u8]) {
    let _ = serde_json::from_slice::<PairingBody>(bytes);
    let Ok(body) = serde_json::from_slice::<SignatureBody>(bytes) else { return };
    let Ok(origin) = Origin::parse("https://sign.example") else { return };
    if let Ok(request) = body.parse(Requester::Origin(origin.clone()), |_| None) {
        assert!(request.items.len() <= sealagent::signing::MAX_ITEMS, "more items than one prompt can list");
        assert_eq!(request.requester.to_string(), origin.as_str());
    }
}

/// Credentials of paired pages and the files that pairings lie in (src/http/credential.rs, src/consent/grants.rs).
pub fn pairing(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some((id, number, mac)) = credential::parse(text)
    {
        let mac: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let written = format!("SealAgent id={id}, n={number}, mac={mac}");
        // A number may begin with zeros and a MAC be in capitals; nothing else has two forms.
        assert!(written.len() <= text.len(), "{text}");
    }
    if let Ok(grant) = serde_json::from_slice::<Grant>(bytes) {
        let printed = format!("{grant:?}");
        assert!(!printed.contains(&*grant.key.to_text()), "a key is never printed");
    }
}

/// Policy, then a zero, then the user's configuration (src/config.rs): the user never widens what the policy does not leave open.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (policy, user) = text.split_once('\0').unwrap_or((text, ""));
    let _ = Config::of_texts(None, policy);
    let (Ok(alone), Ok(both)) = (Config::of_texts(Some(policy), ""), Config::of_texts(Some(policy), user)) else { return };
    let unsaid = 2048 << 20;
    assert!(alone.http.max_upload_bytes == unsaid || both.http.max_upload_bytes <= alone.http.max_upload_bytes);
    assert_eq!((both.pin_fd, both.http.silent, both.http.pairing), (alone.pin_fd, alone.http.silent, alone.http.pairing));
    assert!(both.limits.len() >= alone.limits.len(), "a limit was lost");
    if !policy.contains("user_origins") {
        assert_eq!((&both.http.origins, &both.http.digest_only), (&alone.http.origins, &alone.http.digest_only));
    }
    if !policy.contains("user_drivers") {
        assert_eq!(both.drivers, alone.drivers);
    }
}

/// Frames of an event stream (src/http/websocket.rs).
pub fn stream_frames(bytes: &[u8]) {
    let mut rest = bytes;
    // Each frame takes at least its head away, so this ends.
    loop {
        let mut reading = pin!(websocket::read(&mut rest));
        match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) | Poll::Pending => return,
        }
    }
}
