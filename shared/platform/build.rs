//! The migrations are embedded at compile time; a new one must compile this crate again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
