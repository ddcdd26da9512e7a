//! The one binary: a subcommand a role, plus the tools.
fn main() {}
