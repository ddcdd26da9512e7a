//! `dev.key`: an API key for whoever may read the data folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gristmill_platform::engines::write_secret;
use gristmill_platform::keys;
use secrecy::ExposeSecret;
use sqlx::PgPool;

/// The client that the development key is of.
pub(super) const CLIENT: &str = "dev";

/// The key of an earlier run if it still works, else a new one: an operator's, as whoever may read the folder runs all of
/// this. Where it is.
pub(super) async fn development(pool: &PgPool, data_dir: &Path) -> anyhow::Result<PathBuf> {
    let path = data_dir.join("dev.key");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let client = keys::authenticate(pool, known.trim()).await.context("cannot look for the development key")?;
    if !client.is_some_and(|client| client.operator) {
        let key = keys::create_operator(pool, CLIENT).await.context("cannot make a development key")?;
        let line = format!("{}\n", key.secret.expose_secret());
        write_secret(&path, line.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path)
}
