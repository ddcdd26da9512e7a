//! The data folder: who holds it, and what must be remembered from one start to the next.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::EngineError;
use super::error::Doing;
use super::owner::Owner;
use crate::private;

/// Ports and passwords of the engines of one folder.
#[derive(Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) postgres_port: u16,
    pub(super) postgres_password: String,
    pub(super) redis_port: u16,
    pub(super) redis_password: String,
}

impl Access {
    /// What the folder's last start used, its ports exchanged when somebody else took them.
    pub(super) fn of(folder: &Path) -> Result<Self, EngineError> {
        let path = folder.join("engines.json");
        let known = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let mut access = known.unwrap_or_else(|| Self {
            postgres_port: 0,
            postgres_password: password(),
            redis_port: 0,
            redis_password: password(),
        });
        access.postgres_port = free_port(access.postgres_port, 0).doing("find a free port")?;
        access.redis_port = free_port(access.redis_port, access.postgres_port).doing("find a free port")?;
        let text = serde_json::to_vec_pretty(&access).expect("numbers and text become JSON");
        write_secret(&path, &text).doing(format!("write {}", path.display()))?;
        Ok(access)
    }
}

/// 128 random bits.
pub(super) fn password() -> String {
    rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `wanted` if it is free, else another port: below the range that outgoing connections take theirs from, so that an
/// engine finds its port again after a restart.
fn free_port(wanted: u16, taken: u16) -> std::io::Result<u16> {
    let free = |port: u16| port != taken && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    if wanted != 0 && free(wanted) {
        return Ok(wanted);
    }
    let tries = (0..200).map(|_| rand::random_range(20_000..32_000));
    tries.into_iter().find(|port| free(*port)).ok_or_else(|| std::io::Error::other("no port of 200 tried is free"))
}

/// Writes a file that only we may read, in one step.
pub fn write_secret(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let _ = std::fs::remove_file(&new);
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// Makes a folder, its parents too. `mode` is for the last one.
pub(super) fn make(folder: &Path, mode: u32) -> Result<(), EngineError> {
    let what = || format!("make the folder {}", folder.display());
    if let Some(parent) = folder.parent().filter(|parent| !parent.exists()) {
        std::fs::create_dir_all(parent).doing(what())?;
    }
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        result => result.doing(what()),
    }
}

/// Makes a data folder, or makes it like that: nobody else's. When root starts it, Postgres runs as another user, whose
/// group may pass through and look at nothing.
pub(super) fn make_private(folder: &Path) -> Result<(), EngineError> {
    make(folder, private::FOLDER)?;
    let what = || format!("take away from others the folder {}", folder.display());
    let owner = Owner::of_postgres().ok().flatten();
    let mode = match &owner {
        Some(owner) => {
            std::os::unix::fs::chown(folder, None, Some(owner.gid)).doing(what())?;
            private::FOLDER | 0o010
        }
        None => private::FOLDER,
    };
    std::fs::set_permissions(folder, Permissions::from_mode(mode)).doing(what())
}

/// The right to a data folder: no other process has it, until this is dropped or the process ends.
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the folder, and makes it when it is not there.
    pub fn of(folder: &Path) -> Result<Self, EngineError> {
        make_private(folder)?;
        let hold = lock(folder).map(|file| Self { _file: file })?;
        let mended = private::mend(folder).doing(format!("take away from others what is in {}", folder.display()))?;
        if mended > 0 {
            tracing::warn!(folder = %folder.display(), mended, "others could read what is in the data folder; not any more");
        }
        Ok(hold)
    }
}

fn lock(folder: &Path) -> Result<File, EngineError> {
    let path = folder.join("lock");
    let what = || format!("lock {}", path.display());
    let options = File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
    let mut file = options.doing(what())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).doing(what())?;
            return Err(EngineError::InUse { folder: folder.into(), pid: pid.trim().to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(error).doing(what()),
    }
    file.set_len(0).and_then(|()| file.rewind()).doing(what())?;
    writeln!(file, "{}", std::process::id()).doing(what())?;
    Ok(file)
}

/// The living process that a pid file names, if its program is `program`.
pub(super) fn living(pidfile: &Path, program: &str) -> Option<i32> {
    let text = std::fs::read_to_string(pidfile).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    // a pid is soon given to another program after a reboot
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().or_else(|| {
        let output = std::process::Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output().ok()?;
        String::from_utf8(output.stdout).ok()
    })?;
    name.contains(program).then_some(pid)
}

/// Waits until an engine of an earlier run, whose parent was killed, has stopped.
pub(super) async fn leftover_gone(pidfile: &Path, program: &'static str) -> Result<(), EngineError> {
    for _ in 0..300 {
        if living(pidfile, program).is_none() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    match living(pidfile, program) {
        Some(pid) => Err(EngineError::Leftover { engine: program, pid }),
        None => Ok(()),
    }
}

/// `kill -9`.
pub(super) fn kill(pid: i32) -> std::io::Result<()> {
    let pid = Pid::from_raw(pid).ok_or_else(|| std::io::Error::other("no such process"))?;
    Ok(rustix::process::kill_process(pid, Signal::KILL)?)
}
