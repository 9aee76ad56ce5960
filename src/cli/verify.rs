//! `sealagent verify`: a report per file.
