//! Arguments → one function per subcommand → exit code.

fn main() {}
