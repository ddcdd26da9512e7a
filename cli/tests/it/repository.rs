//! The repository that the tests of its documents and its source read.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The files of a crate's source, each with its text.
pub(crate) type Source = Vec<(PathBuf, String)>;

/// The source of each crate, by its folder. Files of tests are left out.
pub(crate) fn crates() -> BTreeMap<String, Source> {
    let mut crates = BTreeMap::new();
    for folder in [root(), root().join("shared")] {
        for entry in fs::read_dir(folder).unwrap() {
            let folder = entry.unwrap().path();
            if folder.join("Cargo.toml").exists() && folder.join("src").exists() {
                let mut files = Vec::new();
                read(&folder.join("src"), &mut files);
                crates.insert(folder.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), files);
            }
        }
    }
    crates
}

fn read(folder: &Path, files: &mut Source) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            read(&path, files);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}
