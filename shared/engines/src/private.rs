//! Files that only their owner may read: a data folder holds customers' data, mails, keys and logs.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

/// What a folder's owner may, and nobody else.
pub const FOLDER: u32 = 0o700;
/// The same of a file.
pub const FILE: u32 = 0o600;
/// Group and others.
const OTHERS: u32 = 0o077;
/// Entries of a folder that are looked at by who only looks.
const LOOKED_AT: usize = 100_000;

/// From now on what this process makes, and its children, is for their user alone, whatever who started it set.
pub fn begin() {
    rustix::process::umask(Mode::from_raw_mode(OTHERS));
}

/// Makes a folder, and those above it that are not there, for its owner alone.
///
/// # Errors
/// The system's.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(folder)
}

/// Takes away what group and others may of what is in a folder and is this user's, the folder itself aside: of an earlier
/// version, or of who copied it. Returns how many entries were open.
///
/// # Errors
/// The system's; what goes away meanwhile is none.
pub fn mend(folder: &Path) -> io::Result<usize> {
    let us = rustix::process::geteuid().as_raw();
    let mut mended = 0;
    walk(folder, &mut |path, found| {
        if found.uid() == us && is_open(found) {
            match fs::set_permissions(path, Permissions::from_mode(found.mode() & !OTHERS & 0o7777)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => mended += 1,
            }
        }
        Ok(true)
    })?;
    Ok(mended)
}

/// What group or others may read, write or enter in a folder, itself included: how many entries, and the first of them.
///
/// # Errors
/// The system's.
pub fn open_entries(folder: &Path) -> io::Result<Option<(usize, PathBuf)>> {
    let mut found = None;
    let mut looked_at = 0;
    let mut look = |path: &Path, entry: &Metadata| {
        if is_open(entry) {
            let (many, _) = found.get_or_insert_with(|| (0, path.to_path_buf()));
            *many += 1;
        }
        looked_at += 1;
        Ok(looked_at < LOOKED_AT)
    };
    look(folder, &fs::symlink_metadata(folder)?)?;
    walk(folder, &mut look)?;
    Ok(found)
}

/// Links lead elsewhere and sockets are in a folder of their own: only files and folders count. A folder that others may
/// only pass through, where Postgres runs as another user, shows nothing.
fn is_open(entry: &Metadata) -> bool {
    let mode = entry.mode() & OTHERS;
    (entry.is_file() && mode != 0) || (entry.is_dir() && mode & 0o067 != 0)
}

/// Goes through everything in a folder but what links lead to; ends when `each` says so.
fn walk(folder: &Path, each: &mut impl FnMut(&Path, &Metadata) -> io::Result<bool>) -> io::Result<()> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            // Of another user, or gone meanwhile.
            Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let Ok(found) = fs::symlink_metadata(&path) else { continue };
            if !each(&path, &found)? {
                return Ok(());
            }
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}
