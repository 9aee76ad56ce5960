//! OFD packages (GB/T 33190-2016, GM/T 0099-2020): open within limits, find signatures and what they leave unprotected, make room
//! for one more and embed it.
//!
//! Refuses what two readers could read differently: duplicate names, headers that disagree, bytes outside entries, entities. Verifies
//! no signed value (that is [`crate::ses`], [`crate::cms`] and [`crate::verify`]) and draws nothing.
//!
//! ```text
//! Ofd::open(source) ─ bodies() ─┬─ signature_list() ─ signature() ─┬─ check_references()
//!                               │                                  └─ signed_value(), seal_file()
//!                               ├─ contents()   classes of files, for the coverage rule
//!                               ├─ pages()      sizes, for Stamp::place
//!                               └─ prepare(plan) ─ digest(), property() ─ embed(value, out)
//! ```

mod coverage;
mod entry_reader;
mod error;
mod integrity;
mod package;
mod page_files;
mod path;
mod sign;
mod signature;
mod structure;
#[cfg(test)]
mod tests;
mod upgrade;
pub mod write;
mod xml;
mod zip_read;
mod zip_write;

pub use coverage::{Contents, FileClass};
pub use error::{NameFault, OfdError, Tolerance, ToleranceKind, XmlFault};
pub use integrity::IntegrityList;
pub use package::Package;
pub use path::PackagePath;
pub use sign::PreparedOfd;
pub use signature::{
    CheckMethod, ListedKind, ListedSignature, Parameter, Reference, ReferenceOutcome, ReferenceResult, Signature,
    SignatureDateTime, SignatureList, SignatureProvider, StampAnnot,
};
pub use structure::{DocBody, DocVersion, Ofd, Page};
pub use upgrade::SignedValue;
pub use xml::{Element, rectangle};
