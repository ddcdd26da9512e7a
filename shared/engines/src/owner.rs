//! Postgres refuses to run as root: then another user runs it.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user of this machine.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    /// Who runs Postgres: `None` is whoever runs us.
    pub(super) fn of_postgres() -> io::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = ["postgres", "_postgres", "nobody"].into_iter();
        let found = users.filter_map(|name| Some(Self { uid: id("-u", name)?, gid: id("-g", name)? })).next();
        found
            .map(Some)
            .ok_or_else(|| io::Error::other("Postgres does not run as root, and there is no user `postgres`"))
    }

    /// Gives `path` to this user.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }

    /// Whether this user can get into `folder`: it takes the right to pass through every folder above.
    pub(super) fn reaches(&self, folder: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd \"$1\"", "sh"]).arg(folder).uid(self.uid).gid(self.gid).current_dir("/");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

// The user database may be anywhere (files, LDAP, macOS' directory): `id` knows.
fn id(flag: &str, user: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, user]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
