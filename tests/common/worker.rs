//! The real worker program.

use std::path::{Path, PathBuf};

/// The program beside the agent that cargo built for the tests.
pub fn program() -> PathBuf {
    let program =
        Path::new(env!("CARGO_BIN_EXE_sealagent")).with_file_name(format!("sealagent-worker{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "run: cargo build --workspace --bins");
    program
}
