//! What regions sign (src/pki/trust_list.rs, seal_status.rs, licence.rs): the envelopes, and the documents without them, since no
//! random change keeps a signature good.

use sealagent::pki::licence::Licence;
use sealagent::pki::seal_status::{StatusAnswer, StatusList, StatusQuery};
use sealagent::pki::signed::kind_of;
use sealagent::pki::{SignedTrustList, TrustList};
use sealagent::sm::Sm3Digest;

/// Trust lists, seal status, licences.
pub fn region_documents(bytes: &[u8]) {
    let _ = kind_of(bytes);
    let _ = SignedTrustList::parse(bytes);
    if let Ok(list) = TrustList::parse(bytes) {
        assert_eq!(list.to_der(), bytes, "a list has one encoding");
        let _ = list.region(true);
    }
    if let Ok(list) = StatusList::parse(bytes) {
        let _ = list.history("44030000000001", || Sm3Digest([0; 32]));
        let _ = list.with_changes(&list);
    }
    if let Ok(answer) = StatusAnswer::parse(bytes) {
        assert_eq!(answer.to_der(), bytes, "an answer has one encoding");
    }
    if let Ok(licence) = Licence::parse(bytes) {
        assert_eq!(licence.to_der(), bytes, "a statement has one encoding");
    }
    let _ = StatusQuery::parse(bytes);
}
