//! A private Postgres: as safe as a production server, sized for this machine.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::error::{Doing, EngineError};
use super::folder;
use super::guard::{Guard, Program};
use super::owner::Owner;

const USER: &str = "gristmill";
/// Bytes that the path of a socket has room for, on the narrowest of platforms.
const SOCKET_PATH: usize = 104;
/// Crash recovery of a full WAL takes minutes.
const START_TIMEOUT: Duration = Duration::from_secs(600);

pub(super) struct Postgres {
    guard: Guard,
    pub(super) place: Place,
    pub(super) port: u16,
    password: String,
    durable: bool,
}

/// Where the server's data are, and whose they are.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) bin: PathBuf,
    pub(super) initdb: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    pub(super) owner: Option<Owner>,
}

impl Place {
    /// Under the data folder, or where its owner can reach it.
    pub(super) fn choose(data_dir: &Path, bin: PathBuf, initdb: PathBuf) -> Result<Self, EngineError> {
        let owner = Owner::of_postgres().doing("find the user that runs Postgres")?;
        let log = data_dir.join("postgres.log");
        let mut place = Self { bin, initdb, folder: data_dir.join("postgres"), log, owner };
        place.make()?;
        if place.owner.as_ref().is_some_and(|owner| !owner.reaches(&place.folder)) {
            let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
            let name: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = std::fs::remove_dir(&place.folder);
            folder::make(Path::new("/var/lib/gristmill"), 0o711)?;
            place.folder = Path::new("/var/lib/gristmill").join(name);
            place.make()?;
        }
        Ok(place)
    }

    fn make(&self) -> Result<(), EngineError> {
        folder::make(&self.folder, 0o700)?;
        let owner = self.owner.as_ref();
        owner.map_or(Ok(()), |owner| owner.own(&self.folder)).doing("give the folder of Postgres to its user")
    }

    pub(super) fn pidfile(&self) -> PathBuf {
        self.folder.join("data/postmaster.pid")
    }

    /// What is left is of a process that was killed, and its number may be another program's by now.
    fn remove_locks(&self, port: u16) {
        let _ = std::fs::remove_file(self.pidfile());
        let _ = std::fs::remove_file(self.folder.join(format!(".s.PGSQL.{port}.lock")));
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some(owner) = &self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    fn init(&self, password: &str, durable: bool) -> Result<(), EngineError> {
        let (data, new) = (self.folder.join("data"), self.folder.join("data.new"));
        if data.exists() {
            return self.same_version(&data);
        }
        // of a start that was interrupted
        let _ = std::fs::remove_dir_all(&new);
        let pwfile = self.folder.join("password");
        folder::write_secret(&pwfile, password.as_bytes()).doing("write the password of Postgres")?;
        self.owner.as_ref().map_or(Ok(()), |owner| owner.own(&pwfile)).doing("hand over the password of Postgres")?;
        let mut initdb = self.command(&self.initdb);
        initdb.arg("-D").arg(&new).arg("--pwfile").arg(&pwfile);
        initdb.args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]);
        if !durable {
            initdb.arg("--no-sync");
        }
        let output = initdb.output().doing("run initdb")?;
        let _ = std::fs::remove_file(&pwfile);
        if !output.status.success() {
            return Err(EngineError::Initdb(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        std::fs::rename(new, data).doing("put the new database in place")
    }

    fn same_version(&self, data: &Path) -> Result<(), EngineError> {
        let found = std::fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default().trim().to_owned();
        let output = self.command(&self.bin).arg("--version").output().doing("run postgres")?;
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let installed = text.split_whitespace().nth(2).unwrap_or_default().to_owned();
        if installed.split('.').next() == Some(found.as_str()) {
            return Ok(());
        }
        Err(EngineError::OtherVersion { folder: data.into(), found, installed })
    }

    /// Where its socket is, when a path of that length and with these characters can name one.
    fn socket_folder(&self, port: u16) -> Option<&str> {
        let folder = self.folder.to_str()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
        let fits = folder.len() + format!("/.s.PGSQL.{port}").len() < SOCKET_PATH;
        (fits && folder.starts_with('/') && folder.bytes().all(plain)).then_some(folder)
    }

    fn knows_lz4(&self) -> bool {
        let mut ask = self.command(&self.bin);
        ask.arg("-D").arg(self.folder.join("data")).args(["-c", "wal_compression=lz4", "-C", "wal_compression"]);
        ask.output().is_ok_and(|output| output.status.success())
    }

    fn guard(&self, port: u16, durable: bool) -> Result<Guard, EngineError> {
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.socket_folder(port).unwrap_or_default()),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            format!("wal_compression={}", if self.knows_lz4() { "lz4" } else { "on" }),
            "max_wal_size=8GB".to_owned(),
            "checkpoint_timeout=15min".to_owned(),
        ];
        if durable {
            settings.push(format!("shared_buffers={}MB", (memory_megabytes() / 4).clamp(128, 2048)));
            settings.push("max_connections=200".to_owned());
            // loads write more than 16 MB between two rounds of the WAL writer, and would have to write it themselves
            settings.push("wal_buffers=64MB".to_owned());
        } else {
            // the folder does not outlive the process: a crash of the machine cannot lose anything
            settings.extend(
                ["fsync=off", "full_page_writes=off", "shared_buffers=128MB", "max_connections=500"].map(String::from),
            );
        }
        let mut arguments: Vec<OsString> = vec!["-D".into(), self.folder.join("data").into()];
        arguments.extend(settings.into_iter().flat_map(|setting| [OsString::from("-c"), setting.into()]));
        let program = Program {
            path: &self.bin,
            arguments,
            owner: self.owner.as_ref(),
            folder: &self.folder,
            log: self.log.clone(),
            signal: "INT",
            grace: Duration::from_secs(60),
        };
        Guard::start(program).doing("start postgres")
    }
}

impl Postgres {
    pub(super) async fn start(place: Place, port: u16, password: String, durable: bool) -> Result<Self, EngineError> {
        folder::leftover_gone(&place.pidfile(), "postgres").await?;
        place.remove_locks(port);
        place.init(&password, durable)?;
        let guard = place.guard(port, durable)?;
        let mut postgres = Self { guard, place, port, password, durable };
        postgres.create_database().await?;
        Ok(postgres)
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}?sslmode=disable", self.password, self.port)
    }

    /// The same by its socket, where it has one.
    pub(super) fn local_url(&self, database: &str) -> String {
        let url = self.url(database);
        match self.place.socket_folder(self.port) {
            Some(folder) => format!("{url}&host={folder}"),
            None => url,
        }
    }

    fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port).database("postgres");
        let options = options.ssl_mode(sqlx::postgres::PgSslMode::Disable);
        options.username(USER).password(&self.password).disable_statement_logging()
    }

    async fn create_database(&mut self) -> Result<(), EngineError> {
        let mut connection = self.answer().await?;
        let silent = |_| EngineError::Silent { engine: "postgres", log: self.place.log.clone() };
        let known =
            sqlx::query("select 1 from pg_database where datname = 'gristmill'").fetch_optional(&mut connection);
        if known.await.map_err(silent)?.is_none() {
            sqlx::query("create database gristmill").execute(&mut connection).await.map_err(silent)?;
        }
        let _ = connection.close().await;
        Ok(())
    }

    /// Waits until the server answers, for as long as it lives.
    async fn answer(&mut self) -> Result<PgConnection, EngineError> {
        let deadline = Instant::now() + START_TIMEOUT;
        let options = self.options();
        while Instant::now() < deadline {
            match options.connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) => tracing::trace!(%error, "waiting for the private Postgres"),
            }
            if self.guard.exited().doing("look after postgres")?.is_some() {
                let (log, last_words) = (self.guard.log.clone(), self.guard.last_words());
                return Err(EngineError::Died { engine: "postgres", log, last_words });
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        Err(EngineError::Silent { engine: "postgres", log: self.guard.log.clone() })
    }

    pub(super) async fn restart(&mut self) -> Result<(), EngineError> {
        self.stop().await?;
        folder::leftover_gone(&self.place.pidfile(), "postgres").await?;
        self.place.remove_locks(self.port);
        // A killed server's processes hold its shared memory for a moment.
        for _ in 0..100 {
            self.guard = self.place.guard(self.port, self.durable)?;
            match self.answer().await {
                Ok(_) => return Ok(()),
                Err(EngineError::Died { last_words, .. }) if last_words.contains("shared memory") => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(EngineError::Silent { engine: "postgres", log: self.guard.log.clone() })
    }

    pub(super) async fn stop(&mut self) -> Result<bool, EngineError> {
        self.guard.stop().await.doing("stop postgres")
    }

    pub(super) async fn kill(&mut self) -> Result<(), EngineError> {
        if let Some(pid) = folder::living(&self.place.pidfile(), "postgres") {
            folder::kill(pid).doing("kill postgres")?;
        }
        self.guard.ended(Duration::from_secs(10)).await.doing("kill postgres").map(drop)
    }

    pub(super) fn exited(&mut self) -> bool {
        !matches!(self.guard.exited(), Ok(None))
    }
}

fn memory_megabytes() -> u64 {
    let linux = || {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        total.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
    };
    let macos = || {
        let output = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u64>().ok().map(|bytes| bytes >> 20)
    };
    linux().or_else(macos).unwrap_or(1024)
}
