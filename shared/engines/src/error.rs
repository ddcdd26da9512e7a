use std::io;
use std::path::PathBuf;

/// Why the private engines are not there.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A binary is not installed.
    #[error("`{0}` is not installed")]
    Missing(&'static str),
    /// Another process runs engines on this folder.
    #[error("{} is in use by another `gristmill up`, process {pid}", folder.display())]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// Who holds it, as far as is known.
        pid: String,
    },
    /// An engine of an earlier run does not go away.
    #[error(
        "a {engine} that this program does not run (process {pid}) uses this folder: one of an earlier run that does not \
         stop, or one that somebody started by hand, as `pg_ctl restart` does. Stop it by `kill {pid}`: it is started again"
    )]
    Leftover {
        /// Which.
        engine: &'static str,
        /// Its process.
        pid: i32,
    },
    /// The data were written by another version of Postgres.
    #[error("the data in {} are of Postgres {found}, this is Postgres {installed}", folder.display())]
    OtherVersion {
        /// Where the data are.
        folder: PathBuf,
        /// The version that wrote them.
        found: String,
        /// The version that is installed.
        installed: String,
    },
    /// An engine ended instead of answering.
    #[error("{engine} did not start; the end of {}:\n{last_words}", log.display())]
    Died {
        /// Which.
        engine: &'static str,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        last_words: String,
    },
    /// An engine runs but does not answer.
    #[error("{engine} does not answer; see {}", log.display())]
    Silent {
        /// Which.
        engine: &'static str,
        /// Its log.
        log: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// A file or a process could not be handled.
    #[error("cannot {what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl EngineError {
    /// What to do about it, where that is known.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) => "run `make setup`, or give DATABASE_URL and REDIS_URL".to_owned(),
            Self::InUse { .. } => "use that one, stop it, or take another folder with --data-dir".to_owned(),
            Self::Leftover { pid, .. } => format!("stop it: `kill {pid}`"),
            Self::OtherVersion { found, .. } => format!("install Postgres {found}, or start again with --fresh"),
            Self::Died { log, .. } | Self::Silent { log, .. } => format!("read {}", log.display()),
            Self::Initdb(_) | Self::Io { .. } => return None,
        })
    }
}

/// Says what was being done when a file or a process could not be handled.
pub(super) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, EngineError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, EngineError> {
        self.map_err(|source| EngineError::Io { what: what.into(), source })
    }
}
