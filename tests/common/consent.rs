//! Consent as a test gives it: through the one door there is, with a scripted person.

use std::sync::Arc;
use std::time::Duration;

use sealagent::consent::{
    Asked, Authorised, ConsentItem, DataHash, Outcome, Requester, ToBeSigned, obtain,
    prompt::{Canceller, PromptQueue, Prompter},
    scripted::{Reply, Scripted},
    summary::{DocumentShown, SealShown, Shown, SummaryItem, TokenShown},
};
use sealagent::sm::sm3;
use ukey::{Credential, DEFAULT_ID, PinStatus, Sm2Message, Sm2PublicKey};

/// `count` messages for `key` that a person agreed to, and the PIN they typed.
pub async fn consented(key: Sm2PublicKey, count: u32, pin: &'static str) -> (Vec<Authorised>, Credential) {
    let shown = SummaryItem {
        document: DocumentShown::DigestOnly { name: Shown::new("document"), sm3: sm3(b"document") },
        seal: SealShown {
            name: Shown::new("seal"),
            es_id: Shown::new("1"),
            valid_from: jiff::Timestamp::UNIX_EPOCH,
            valid_to: jiff::Timestamp::MAX,
            signer: Shown::new("signer"),
            uscc: None,
            licence: None,
            unanswered: None,
            picture: Arc::default(),
        },
        placements: Vec::new(),
        closes: false,
        page: None,
        leaves: None,
    };
    let data_hash = |i: u32| sm3(&i.to_be_bytes());
    let asked: Vec<_> = (0..count)
        .map(|i| Asked {
            shown: shown.clone(),
            bound: ConsentItem { data_hash: DataHash::Fixed(data_hash(i)), property: String::new(), seal: sm3(b"seal"), key },
        })
        .collect();
    let queue = PromptQueue::new(Prompter::Scripted(Scripted::new(move |_| Reply::Approve(pin))), Duration::from_secs(60));
    let (_canceller, mut cancel) = Canceller::new();
    let turn = queue.turn(queue.admit(&Requester::CommandLine).unwrap(), &mut cancel).await.unwrap();
    let token = TokenShown { label: Shown::new("token"), serial_tail: Shown::new("1") };
    let Outcome::Approved(mut consent, credential) = obtain(&turn, &asked, None, token, PinStatus::default(), 1, &cancel).await
    else {
        panic!("the script approves");
    };
    let authorise = |i: u32| {
        let message = Sm2Message::new(format!("message {i}").into_bytes(), DEFAULT_ID, key).unwrap();
        let tbs = ToBeSigned { data_hash: data_hash(i), property: String::new(), seal: sm3(b"seal"), message };
        consent.authorise(i as usize, tbs).unwrap()
    };
    ((0..count).map(authorise).collect(), credential)
}
