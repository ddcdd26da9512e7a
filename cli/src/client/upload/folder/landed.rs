//! The folder: who may watch it, and what has settled in it.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata, TryLockError},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::notes::{Notes, Outcome, moved};
use crate::report::Advice;

/// Held by the process that watches.
const LOCK: &str = ".gristmill-watch.lock";

/// A folder that this process watches.
pub(super) struct Inbox {
    folder: PathBuf,
    /// What was taken, where files stay.
    notes: Option<Notes>,
    /// Since when files have been as they are, by our own clock.
    seen: HashMap<PathBuf, (Stamp, Instant)>,
    _lock: File,
}

/// A file in it.
#[derive(Debug)]
pub(super) struct Landed {
    /// For people.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// In seconds and nanoseconds.
    modified: (i64, i64),
    bytes: u64,
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        Self { modified: (about.mtime(), about.mtime_nsec()), bytes: about.len() }
    }
}

impl Landed {
    /// Of this file as it is now: the same after a crash.
    pub(super) fn key(&self) -> String {
        let Stamp { modified: (seconds, nanoseconds), bytes } = self.stamp;
        let mut hash = Sha256::new();
        hash.update(self.path.as_os_str().as_bytes());
        hash.update([0]);
        hash.update(format!("{bytes} {seconds}.{nanoseconds:09}"));
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("folder-{digest}")
    }

    /// Whether it is still the file that was found.
    pub(super) fn is_unchanged(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|about| Stamp::of(&about) == self.stamp)
    }
}

impl Inbox {
    pub(super) fn open(folder: &Path, keep: bool) -> anyhow::Result<Self> {
        let shown = folder.display();
        if !folder.is_dir() {
            return Err(Advice::new(format!("there is no folder {shown}"), "make it, or check the path").into());
        }
        // Keys are of whole paths: the same from wherever it is started.
        let folder = folder.canonicalize().with_context(|| format!("cannot read {shown}"))?;
        let lock = File::create(folder.join(LOCK)).with_context(|| format!("cannot write to {shown}"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let todo = "let that one go on, or stop it first";
                return Err(Advice::new(format!("{shown} is watched by another process"), todo).into());
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {shown}")),
        }
        let notes = keep.then(|| Notes::read(&folder)).transpose()?;
        Ok(Self { folder, notes, seen: HashMap::new(), _lock: lock })
    }

    /// What has stayed as it is for so long and was not taken yet, the oldest first.
    pub(super) fn settled(&mut self, settle: Duration, now: Instant) -> anyhow::Result<Vec<Landed>> {
        let files = self.files().with_context(|| format!("cannot read {}", self.folder.display()))?;
        self.seen.retain(|path, _| files.iter().any(|(file, _)| file.path == *path));
        let mut settled = Vec::new();
        for (file, about) in files {
            let (stamp, since) = self.seen.entry(file.path.clone()).or_insert((file.stamp, now));
            if *stamp != file.stamp {
                (*stamp, *since) = (file.stamp, now);
            }
            if now.duration_since(*since) >= settle || age(&about) >= settle {
                settled.push(file);
            }
        }
        settled.sort_by(|one, other| (one.stamp, &one.path).cmp(&(other.stamp, &other.path)));
        Ok(settled)
    }

    /// Files that may be taken, and were not.
    fn files(&mut self) -> io::Result<Vec<(Landed, Metadata)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".part") {
                continue;
            }
            let about = match entry.metadata() {
                Ok(about) => about,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if about.is_file() {
                files.push((Landed { name, path: entry.path(), stamp: Stamp::of(&about) }, about));
            }
        }
        if let Some(notes) = &mut self.notes {
            notes.forget_others(files.iter().map(|(file, _)| file.name.as_str()));
            files.retain(|(file, _)| !notes.has(&file.name, file.stamp));
        }
        Ok(files)
    }

    /// Puts away what was sent, or notes it.
    pub(super) fn put(&mut self, file: &Landed, outcome: &Outcome<'_>) -> anyhow::Result<()> {
        match &mut self.notes {
            Some(notes) => notes.note(&file.name, file.stamp, outcome),
            None => moved(&self.folder, &file.path, outcome),
        }
        .with_context(|| format!("{} was sent, and cannot be put away", file.name))
    }
}

/// How long ago a file was written, renamed or otherwise changed. Of one that says it was in the future: nothing.
fn age(about: &Metadata) -> Duration {
    let changed = about.mtime().max(about.ctime());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    // What has happened within this second is not older than nothing.
    let changed = u64::try_from(changed).map_or(Duration::ZERO, |seconds| Duration::from_secs(seconds + 1));
    now.saturating_sub(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[Landed]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn a_file_settles_when_it_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut inbox = Inbox::open(folder.path(), false).unwrap();
        let (start, settle) = (Instant::now(), Duration::from_secs(60));
        fs::write(&path, "a").unwrap();
        // Other people's clocks: it is not taken for that.
        let future = SystemTime::now() + Duration::from_hours(1);
        File::options().write(true).open(&path).unwrap().set_modified(future).unwrap();
        assert!(inbox.settled(settle, start).unwrap().is_empty());
        fs::write(&path, "ab").unwrap();
        assert!(inbox.settled(settle, start + settle).unwrap().is_empty(), "it grew");
        assert_eq!(names(&inbox.settled(settle, start + settle * 2).unwrap()), ["a.csv"]);
        assert_eq!(names(&inbox.settled(Duration::ZERO, start).unwrap()), ["a.csv"]);
    }

    #[test]
    fn a_name_that_is_not_final_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".a.csv", "b.csv.part", "c.tmp", "d.csv"] {
            fs::write(folder.path().join(name), "a").unwrap();
        }
        fs::create_dir(folder.path().join("done")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.csv")).unwrap();
        let mut inbox = Inbox::open(folder.path(), false).unwrap();
        assert_eq!(names(&inbox.settled(Duration::ZERO, Instant::now()).unwrap()), ["d.csv"]);
    }

    #[test]
    fn a_folder_has_one_watcher() {
        let folder = tempfile::tempdir().unwrap();
        let first = Inbox::open(folder.path(), false).unwrap();
        let error = Inbox::open(folder.path(), true).err().expect("it is locked");
        assert!(error.to_string().ends_with("is watched by another process"), "{error}");
        drop(first);
        Inbox::open(folder.path(), true).unwrap();
    }

    #[test]
    fn a_key_is_of_a_file_as_it_is() {
        let stamp = Stamp { modified: (1, 2), bytes: 3 };
        let file = |path: &str, stamp| Landed { name: "a".to_owned(), path: path.into(), stamp }.key();
        assert_eq!(file("/in/a", stamp), file("/in/a", stamp));
        assert_ne!(file("/in/a", stamp), file("/in/b", stamp));
        assert_ne!(file("/in/a", stamp), file("/in/a", Stamp { modified: (1, 3), ..stamp }));
        assert_ne!(file("/in/a", stamp), file("/in/a", Stamp { bytes: 4, ..stamp }));
    }
}
