//! What became of a file: seen by where it is, or noted in the folder.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use gristmill_uploads::UploadId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::landed::Stamp;
use crate::client::error::Problem;

/// Where it is noted what was taken of files that stay.
const NOTES: &str = ".gristmill-watch.json";

/// What the server said of a file.
pub(super) enum Outcome<'a> {
    Taken(UploadId),
    Refused(&'a Problem),
}

/// Moves a file out of the way. A problem is written first: when the process dies in between, the file is refused again.
pub(super) fn moved(folder: &Path, file: &Path, outcome: &Outcome<'_>) -> anyhow::Result<()> {
    let to = folder.join(match outcome {
        Outcome::Taken(_) => "done",
        Outcome::Refused(_) => "refused",
    });
    fs::create_dir_all(&to)?;
    let to = free(&to, file);
    if let Outcome::Refused(problem) = outcome {
        let mut beside = to.clone().into_os_string();
        beside.push(".problem.json");
        write(Path::new(&beside), &serde_json::to_vec_pretty(problem)?)?;
    }
    Ok(fs::rename(file, to)?)
}

/// A place in a folder that no other file has: its own name, or that with a number. Only the one that watches moves files there.
fn free(folder: &Path, file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default();
    let numbered = (2_u64..).map(|number| {
        let mut other = OsString::from(format!("{number}-"));
        other.push(name);
        other
    });
    let mut names = std::iter::once(name.to_owned()).chain(numbered).map(|name| folder.join(name));
    names.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| folder.join(name))
}

/// What was taken or refused of a folder whose files stay.
pub(super) struct Notes {
    path: PathBuf,
    files: BTreeMap<String, Note>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    stamp: Stamp,
    /// Its upload, or its problem.
    #[serde(flatten)]
    outcome: Value,
}

impl Notes {
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(NOTES);
        let wrong = || format!("cannot read {}", path.display());
        let files = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(wrong)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(wrong),
        };
        Ok(Self { path, files })
    }

    /// Whether this file, as it is, was taken or refused.
    pub(super) fn has(&self, name: &str, stamp: Stamp) -> bool {
        self.files.get(name).is_some_and(|note| note.stamp == stamp)
    }

    /// Leaves out files that are not there any more; that is written with the next note.
    pub(super) fn forget_others<'a>(&mut self, there: impl Iterator<Item = &'a str>) {
        let there: HashSet<&str> = there.collect();
        self.files.retain(|name, _| there.contains(name.as_str()));
    }

    pub(super) fn note(&mut self, name: &str, stamp: Stamp, outcome: &Outcome<'_>) -> anyhow::Result<()> {
        let outcome = match outcome {
            Outcome::Taken(id) => json!({ "upload": id }),
            Outcome::Refused(problem) => json!({ "problem": problem }),
        };
        self.files.insert(name.to_owned(), Note { stamp, outcome });
        write(&self.path, &serde_json::to_vec_pretty(&self.files)?)
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let mut file = File::create(&aside)?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(fs::rename(&aside, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_there_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        for content in ["one", "two"] {
            let file = folder.path().join("a.csv");
            fs::write(&file, content).unwrap();
            moved(folder.path(), &file, &Outcome::Taken(uuid::Uuid::nil().into())).unwrap();
            assert!(!file.exists());
        }
        let done = folder.path().join("done");
        assert_eq!(fs::read_to_string(done.join("a.csv")).unwrap(), "one");
        assert_eq!(fs::read_to_string(done.join("2-a.csv")).unwrap(), "two");
    }
}
