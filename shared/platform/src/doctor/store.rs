use std::path::{Path, PathBuf};

use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Finding, chain};
use crate::config::{DEFAULT_DATA_DIR, StoreConfig};
use crate::{private, store};

/// Less free space than this is worth a word.
const LITTLE: u64 = 5 << 30;
const VERY_LITTLE: u64 = 256 << 20;

pub(super) async fn examine(config: &StoreConfig) -> Vec<Finding> {
    let named = config.store_url.clone().unwrap_or_else(|| format!("{DEFAULT_DATA_DIR}/objects"));
    let folder = store::local_folder(&named);
    // Opening it would make it, also where a typo points to.
    if let Some(missing) = folder.as_deref().filter(|folder| !folder.exists()) {
        return vec![absent(missing, config.store_url.is_some())];
    }
    let mut found = vec![writable(config, &named).await];
    found.extend(folder.as_deref().map(kept_private));
    found.extend(folder.and_then(space));
    found
}

/// Roles make it at their start: only a name that somebody gave may be wrong.
fn absent(folder: &Path, given: bool) -> Finding {
    let what = format!("the object store's folder {} is not there", folder.display());
    match given {
        true => Finding::fail("store.writable", what, "correct GRISTMILL_STORE_URL, or make the folder"),
        false => Finding::warn("store.writable", what, "`gristmill up`, or the first role, makes it"),
    }
}

/// Whether others may read what is in it, or in the data folder that it is in.
fn kept_private(folder: &Path) -> Finding {
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let whole = absolute.parent().filter(|parent| parent.join("engines.json").exists()).unwrap_or(&absolute);
    let fix = || format!("chmod -R go= '{}'; `gristmill up` does so at its start", whole.display());
    match private::open_entries(whole) {
        Ok(None) => Finding::ok("store.private", format!("only its user can read what is in {}", whole.display())),
        Ok(Some((many, first))) => Finding::fail(
            "store.private",
            format!(
                "others can read or enter {many} files and folders in {}, such as {}",
                whole.display(),
                first.display()
            ),
            fix(),
        ),
        Err(error) => {
            Finding::warn("store.private", format!("{} cannot be looked through: {error}", whole.display()), fix())
        }
    }
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
