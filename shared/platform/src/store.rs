//! The object store: a local folder by default, a bucket by URL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, parse_url_opts};
use url::Url;

use crate::config::{DEFAULT_DATA_DIR, StoreConfig, cloud_options};
use crate::private;

/// Why there is no object store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no store we know.
    #[error("`{url}` is not an object store: give a folder, file:///…, s3://…, gs://… or az://…")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: object_store::Error,
    },
    /// The folder cannot be made or entered.
    #[error("the object store's folder {} cannot be used", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The folder cannot be opened as a store.
    #[error("the object store's folder {} cannot be opened", folder.display())]
    Open {
        /// Which.
        folder: PathBuf,
        /// Why not.
        source: object_store::Error,
    },
}

/// Opens the store the configuration names.
pub fn open(config: &StoreConfig) -> Result<Arc<dyn ObjectStore>, StoreError> {
    open_with(config, cloud_options())
}

/// Opens the store with a cloud's options given, instead of those of the environment.
pub fn open_with(config: &StoreConfig, options: Vec<(String, String)>) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let default = || format!("{DEFAULT_DATA_DIR}/objects");
    let named = config.store_url.clone().unwrap_or_else(default);
    if let Some(folder) = local_folder(&named) {
        return local(&folder, config.store_fsync);
    }
    let wrong = |source| StoreError::Url { url: named.clone(), source };
    let generic = |e| object_store::Error::Generic { store: "URL", source: Box::new(e) };
    let url = Url::parse(&named).map_err(|e| wrong(generic(e)))?;
    let options = options.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let (store, prefix) = parse_url_opts(&url, options).map_err(wrong)?;
    let store: Arc<dyn ObjectStore> = Arc::from(store);
    if prefix.as_ref().is_empty() {
        return Ok(store);
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// Whether this names a cloud's bucket, not a local folder.
pub fn is_bucket(named: &str) -> bool {
    local_folder(named).is_none()
}

/// The folder a local store's name means; `None` for a bucket.
pub(crate) fn local_folder(named: &str) -> Option<PathBuf> {
    match Url::parse(named) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().ok(),
        Ok(_) => None,
        Err(_) => Some(PathBuf::from(named)),
    }
}

fn local(folder: &Path, fsync: bool) -> Result<Arc<dyn ObjectStore>, StoreError> {
    private::make_folder(folder).map_err(|source| StoreError::Folder { folder: folder.into(), source })?;
    let store = LocalFileSystem::new_with_prefix(folder);
    let store = store.map_err(|source| StoreError::Open { folder: folder.into(), source })?;
    Ok(Arc::new(store.with_fsync(fsync).with_automatic_cleanup(true)))
}
