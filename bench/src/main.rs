//! Benchmarks, and what they are compared with.
fn main() {}
