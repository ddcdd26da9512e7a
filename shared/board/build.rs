//! Names the assets by what is in them.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=assets");
    let mut files: Vec<_> = fs::read_dir("assets")?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file.path())?.hash(&mut hasher);
    }
    println!("cargo::rustc-env=GRISTMILL_ASSETS={:x}", hasher.finish());
    Ok(())
}
