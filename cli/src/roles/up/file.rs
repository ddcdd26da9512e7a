//! `up.json`: there while everything is ready, so that scripts can wait for it and join a running stack.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use gristmill_platform::engines::write_secret;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::engines::Sources;

pub(super) struct UpFile {
    path: PathBuf,
}

#[derive(Serialize)]
struct Content<'a> {
    api: String,
    monitor: String,
    database_url: &'a str,
    redis_url: &'a str,
    env: BTreeMap<String, String>,
}

impl UpFile {
    pub(super) fn write(sources: &Sources, api: SocketAddr, monitor: SocketAddr) -> anyhow::Result<Self> {
        let content = Content {
            api: url(api),
            monitor: url(monitor),
            database_url: sources.database_url.expose_secret(),
            redis_url: sources.redis_url.expose_secret(),
            env: sources.environment().into_iter().collect(),
        };
        let path = sources.data_dir.join("up.json");
        write_secret(&path, &serde_json::to_vec_pretty(&content)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    pub(super) fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "up.json is not removed");
        }
    }
}

/// As one writes it into a browser: an address that means every interface is reached by the loopback one.
pub(super) fn url(addr: SocketAddr) -> String {
    let host = match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "[::1]".to_owned(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    format!("http://{host}:{}", addr.port())
}
