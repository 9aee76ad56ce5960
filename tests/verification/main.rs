//! One thing wrong at a time: what each finding takes, and that nothing wrong is ever `TOTAL_PASSED`.

mod alone;
mod bytes;
mod documents;
mod findings;
mod forge;
mod paths;
mod pdf;
mod regions;
