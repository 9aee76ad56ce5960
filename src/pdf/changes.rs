//! What happened to a document after a signature.

use super::ObjectId;

/// A later change that does not touch what was signed. Each names the thing it happened to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Permitted {
    /// A further signature in this field (its own appearance included). It vouches for its appearance: while it does not pass,
    /// what it draws over the page is nobody's.
    Signature {
        /// Fully qualified field name.
        field: String,
    },
    /// A document time stamp in this field.
    DocTimeStamp {
        /// Fully qualified field name.
        field: String,
    },
    /// An empty, invisible signature field was added.
    EmptySignatureField {
        /// Fully qualified field name.
        field: String,
    },
    /// Validation data (`/DSS`).
    ValidationData,
    /// A field was filled in, as the DocMDP permission 2 or 3 of this signature allows.
    FormFilled {
        /// Fully qualified field name.
        field: String,
    },
    /// Modification date or producer in the document information, or the XMP metadata.
    Metadata,
}

/// A later change that a reader may see or that cannot be explained. One is enough for `CHANGED_AFTER_SIGNING`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The object changed, added or removed; `None` for the trailer and for bytes that belong to no object.
    pub object: Option<ObjectId>,
    /// What it is.
    pub what: Changed,
    /// Where in it: keys from the document's root, e.g. `/Root/Pages/Kids[0]/Contents`; a field's name; empty where unknown.
    pub place: String,
}

/// What a [`Change`] touched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Changed {
    /// An annotation was added, removed or changed.
    Annotation,
    /// Bytes after the signed revision that belong to no revision.
    Bytes,
    /// The catalog, under a key that signing does not touch.
    Catalog,
    /// The certification signature allows no change of this kind (DocMDP P 1).
    Certified,
    /// A form field that is no signature field, or the form itself.
    Field,
    /// A reference that led nowhere when signed leads to something now.
    Filled,
    /// The document information (title, author…).
    Information,
    /// More changes than this reader compares.
    Limit,
    /// Page content, resources, size or order.
    Page,
    /// The signed revision's own objects lie beyond its end.
    Shadow,
    /// A signature was taken away or replaced, or its field or appearance changed.
    Signature,
    /// The trailer.
    Trailer,
    /// An object whose part in the document is not known here.
    Unknown,
}
