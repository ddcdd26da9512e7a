//! What running jobs say of how far they are.

use std::sync::LazyLock;

use ::redis::{RedisResult, Script, aio::ConnectionLike};

static PROGRESS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/progress.lua")));

/// Keeps each text under its key for so many seconds, also in a Redis that is full.
pub(crate) async fn tell<C: ConnectionLike + Send>(
    conn: &mut C,
    seconds: u64,
    said: impl Iterator<Item = (String, String)>,
) -> RedisResult<()> {
    let mut call = PROGRESS.prepare_invoke();
    call.arg(seconds);
    for (key, text) in said {
        call.key(key).arg(text);
    }
    call.invoke_async(conn).await
}
