//! Tests of the whole module: hostile packages, signing, classes of files. Every package is made by the builder here or by
//! [`super::write`].

mod contents;
mod description;
mod hostile;
mod mutation;
mod signing;
mod zip_builder;
