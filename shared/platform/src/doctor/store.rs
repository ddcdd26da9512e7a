use std::path::{Path, PathBuf};

use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Finding, chain};
use crate::config::{DEFAULT_DATA_DIR, StoreConfig};
use crate::store;

/// Less free space than this is worth a word.
const LITTLE: u64 = 5 << 30;
const VERY_LITTLE: u64 = 256 << 20;

pub(super) async fn examine(config: &StoreConfig) -> Vec<Finding> {
    let named = config.store_url.clone().unwrap_or_else(|| format!("{DEFAULT_DATA_DIR}/objects"));
    let mut found = vec![writable(config, &named).await];
    found.extend(store::local_folder(&named).and_then(space));
    found
}

async fn writable(config: &StoreConfig, named: &str) -> Finding {
    let fix = "correct GRISTMILL_STORE_URL, or the rights on it";
    let store = match store::open(config) {
        Ok(store) => store,
        Err(error) => return Finding::fail("store.writable", chain(&error), fix),
    };
    match write_and_delete(store.as_ref()).await {
        Ok(()) => Finding::ok("store.writable", format!("the object store {named} can be written")),
        Err(error) => {
            Finding::fail("store.writable", format!("the object store {named} cannot be used: {}", chain(&error)), fix)
        }
    }
}

async fn write_and_delete(store: &dyn ObjectStore) -> object_store::Result<()> {
    let key = Key::from(format!("doctor-{}", uuid::Uuid::new_v4().simple()));
    store.put(&key, "doctor".into()).await?;
    store.delete(&key).await
}

fn space(folder: PathBuf) -> Option<Finding> {
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let found = rustix::fs::statvfs(existing).ok()?;
    let free = found.f_bavail * found.f_frsize;
    let what = format!("{:.1} GiB free for {}", free as f64 / f64::from(1 << 30), folder.display());
    let fix = "make space, or put GRISTMILL_STORE_URL on another disk";
    Some(match free {
        free if free < VERY_LITTLE => Finding::fail("store.space", what, fix),
        free if free < LITTLE => Finding::warn("store.space", what, fix),
        _ => Finding::ok("store.space", what),
    })
}
