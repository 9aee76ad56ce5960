//! The command line: one module per subcommand, each with its arguments and one function that returns the exit code.

pub mod verify;
