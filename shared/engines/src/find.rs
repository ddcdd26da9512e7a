//! Where the distribution keeps the engines' binaries.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::EngineError;

/// The folder of `postgres` and `initdb`, and `redis-server`.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) postgres: PathBuf,
    pub(super) initdb: PathBuf,
    pub(super) redis: PathBuf,
}

pub(super) fn binaries() -> Result<Binaries, EngineError> {
    let bin = postgres_bin().ok_or(EngineError::Missing("postgres"))?;
    let redis = redis().ok_or(EngineError::Missing("redis-server"))?;
    Ok(Binaries { postgres: bin.join("postgres"), initdb: bin.join("initdb"), redis })
}

// Distributions keep several versions beside each other, out of the PATH.
fn postgres_bin() -> Option<PathBuf> {
    let complete = |bin: &PathBuf| bin.join("postgres").is_file() && bin.join("initdb").is_file();
    let on_path = which("postgres").and_then(|found| Some(found.parent()?.to_path_buf())).filter(complete);
    on_path.or_else(|| newest(complete)).or_else(|| pg_config().filter(complete))
}

fn newest(complete: impl Fn(&PathBuf) -> bool) -> Option<PathBuf> {
    let versioned = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ];
    let found = versioned.into_iter().flat_map(|(root, prefix)| {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        entries.filter_map(move |entry| {
            let name = entry.file_name().into_string().ok()?;
            let version: u32 = name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
    });
    found.filter(|(_, bin)| complete(bin)).max().map(|(_, bin)| bin)
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn redis() -> Option<PathBuf> {
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/sbin"];
    let elsewhere =
        || usual.into_iter().map(|folder| Path::new(folder).join("redis-server")).find(|path| path.is_file());
    which("redis-server").or_else(elsewhere)
}

fn which(name: &str) -> Option<PathBuf> {
    let output = Command::new("/bin/sh").args(["-c", "command -v \"$1\"", "sh", name]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_absolute().then_some(path)
}
