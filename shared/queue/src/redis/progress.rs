//! The progress that running jobs report.

use std::sync::LazyLock;

use ::redis::{RedisResult, Script, aio::ConnectionLike};

static PROGRESS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/progress.lua")));

/// Stores each text under its key for `seconds`, also in a Redis that is full.
pub(crate) async fn publish<C: ConnectionLike + Send>(
    conn: &mut C,
    seconds: u64,
    progress: impl Iterator<Item = (String, String)>,
) -> RedisResult<()> {
    let mut call = PROGRESS.prepare_invoke();
    call.arg(seconds);
    for (key, text) in progress {
        call.key(key).arg(text);
    }
    call.invoke_async(conn).await
}
