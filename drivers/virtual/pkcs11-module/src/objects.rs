//! The objects of one token and their attributes.

use ukey::{KeyInfo, KeyUsage};
use ukey_virtual::{Token, TokenError};

use crate::{
    Ulong,
    switches::{Point, Switches},
};

const SM2_CURVE: &[u8] = b"\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d";

const DATA: Ulong = 0;
const CERTIFICATE: Ulong = 1;
const PUBLIC_KEY: Ulong = 2;
const PRIVATE_KEY: Ulong = 3;
const EC: Ulong = 3;

/// One object: its handle is its place in the token's list, from 1.
pub(crate) struct Object {
    pub(crate) attributes: Vec<(Ulong, Vec<u8>)>,
    /// The key that a private key object signs with.
    pub(crate) key: Option<KeyInfo>,
}

impl Object {
    pub(crate) fn attribute(&self, kind: Ulong) -> Option<&[u8]> {
        self.attributes.iter().find(|(known, _)| *known == kind).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn is_private(&self) -> bool {
        self.attribute(2) == Some(&[1])
    }
}

fn ulong(value: Ulong) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

/// `CKA_CLASS`, `CKA_TOKEN`, `CKA_PRIVATE`, `CKA_LABEL`.
fn common(class: Ulong, private: bool, label: &str) -> Vec<(Ulong, Vec<u8>)> {
    vec![(0, ulong(class)), (1, vec![1]), (2, vec![private.into()]), (3, label.into())]
}

pub(crate) fn list(token: &Token, switches: &Switches) -> Result<Vec<Object>, TokenError> {
    let mut objects = Vec::new();
    let (mut signing, mut encryption) = (0u8, 0u8);
    for key in token.keys()? {
        let signs = key.usage == KeyUsage::Signing;
        let count = if signs { &mut signing } else { &mut encryption };
        *count += 1;
        let id = if switches.shared_ids { vec![*count] } else { key.id.0.clone().into_bytes() };
        let label = key.id.0.as_str();
        if let Some(certificate) = &key.certificate {
            let mut attributes = common(CERTIFICATE, false, label);
            attributes.extend([(0x80, ulong(0)), (0x11, certificate.0.clone()), (0x102, id.clone())]);
            objects.push(Object { attributes, key: None });
        }
        for class in [PUBLIC_KEY, PRIVATE_KEY] {
            let private = class == PRIVATE_KEY;
            let key_type = if switches.ec_key_type { EC } else { switches.key_type.into() };
            let mut attributes = common(class, private, label);
            attributes.extend([(0x100, ulong(key_type)), (0x102, id.clone())]);
            if !switches.no_curve {
                attributes.push((0x180, SM2_CURVE.to_vec()));
            }
            if private {
                attributes.extend([
                    (0x103, vec![1]),
                    (0x162, vec![0]),
                    (0x105, vec![(!signs).into()]),
                    (0x108, vec![signs.into()]),
                ]);
                attributes.push((0x202, vec![switches.always_authenticate.into()]));
            } else {
                attributes.extend([(0x104, vec![(!signs).into()]), (0x10A, vec![signs.into()])]);
            }
            if !private || switches.private_point {
                attributes.extend(point(&key, switches));
            }
            objects.push(Object { attributes, key: private.then(|| key.clone()) });
        }
    }
    let readme = b"no seal".to_vec();
    for (at, value) in token.seals()?.into_iter().chain([readme]).enumerate() {
        let mut attributes = common(DATA, false, &format!("data-{}", at + 1));
        attributes.extend([(0x10, b"virtual UKey".to_vec()), (0x11, value)]);
        objects.push(Object { attributes, key: None });
    }
    Ok(objects)
}

fn point(key: &KeyInfo, switches: &Switches) -> Vec<(Ulong, Vec<u8>)> {
    let bare = key.public_key.to_sec1();
    let (x, y) = key.public_key.as_bytes().split_at(32);
    let [x_attribute, y_attribute] = switches.point_attributes.map(Ulong::from);
    match switches.point {
        Point::Bare => vec![(0x181, bare.to_vec())],
        Point::BitString => vec![(0x181, [&[3, 0x42, 0], bare.as_slice()].concat())],
        Point::Coordinates => vec![(x_attribute, x.to_vec()), (y_attribute, y.to_vec())],
        Point::Wrapped => vec![(0x181, [&[4, 0x41], bare.as_slice()].concat())],
    }
}
