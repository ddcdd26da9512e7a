//! A folder that goes away when this process does, however it does.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::error::{Doing, EngineError};
use super::folder;
use super::script;

pub(super) fn folder() -> Result<PathBuf, EngineError> {
    let path = std::env::temp_dir().join(format!("gristmill-{}", &folder::password()[..12]));
    folder::make_private(&path)?;
    Ok(path)
}

/// A process that outlives us for as long as it takes to clean up: see `janitor.sh`.
pub(super) struct Janitor {
    child: Option<Child>,
}

impl Janitor {
    pub(super) fn start(folder: &Path) -> Result<Self, EngineError> {
        use std::os::unix::process::CommandExt;
        let mut command = script::command("gristmill-janitor", include_str!("janitor.sh"));
        command.arg(folder).arg(folder.join("postgres/data/postmaster.pid")).arg(super::redis::pidfile(folder));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.process_group(0).spawn().doing("start the janitor of a temporary folder")?;
        Ok(Self { child: Some(child) })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            std::thread::spawn(move || child.wait());
        }
    }
}
