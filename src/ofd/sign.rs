//! One more signature (GB/T 33190 clause 18; shared `ofd-signature.md` §6): every file that is there stays as it is, byte for byte.

use std::io::{Read, Seek, Write};

use super::Ofd;
use crate::document::{DocumentError, Prepared, Signable, SigningPlan};
use crate::sm::Sm3Digest;

/// An OFD that waits for its signed value.
pub struct PreparedOfd<R> {
    _source: Ofd<R>,
}

impl<R: Read + Seek> Signable for Ofd<R> {
    type Prepared = PreparedOfd<R>;

    fn prepare(self, _plan: &SigningPlan) -> Result<PreparedOfd<R>, DocumentError> {
        todo!()
    }
}

impl<R: Read + Seek> Prepared for PreparedOfd<R> {
    fn digest(&self) -> Sm3Digest {
        todo!()
    }

    fn property(&self) -> &str {
        todo!()
    }

    fn embed(self, _signed_value: &[u8], _out: &mut dyn Write) -> Result<(), DocumentError> {
        todo!()
    }
}
