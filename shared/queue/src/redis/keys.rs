//! The version that every key of the queues carries, and what becomes of the keys of older versions.
//!
//! A release that changes keys or what they mean raises [`LAYOUT_VERSION`]. Its workers then start with an empty broker,
//! as after a loss of Redis' data: the new layout has no epoch, so the sweep pushes everything that waits in the ledger
//! (`relay.rs`, `has_no_epoch`). While workers of both releases run, each release has its own broker, and both may run the
//! same job at one time; the ledger's fence lets one of them have the effect. A job that only a worker of the new release
//! can read may be parked by an old one, and is tried again by the new one.

use ::redis::{RedisResult, aio::ConnectionLike};

const LAYOUT_VERSION: u32 = 2;
/// How long keys of the first layout stay, which had no version. Workers of the release before lose nothing by that: what
/// they miss is pushed again by their own sweep, as after a loss of Redis' data.
const OLD_LAYOUT_EXPIRY_SECONDS: i64 = 3_600;

/// The namespace, with the version of the layout.
pub(super) fn versioned(namespace: &str) -> String {
    format!("{namespace}/{LAYOUT_VERSION}")
}

/// A pattern of Redis that matches this text only.
pub(super) fn escape_pattern(text: &str) -> String {
    text.chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Lets some of the keys of the first layout expire, and returns where to continue; 0 is the start and the end.
pub(super) async fn expire_old_layout<C: ConnectionLike + Send>(
    conn: &mut C,
    namespace: &str,
    cursor: u64,
) -> RedisResult<u64> {
    let pattern = format!("{}[:}}]*", escape_pattern(&format!("{{{namespace}")));
    let mut scan = ::redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000);
    let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(conn).await?;
    if keys.is_empty() {
        return Ok(next);
    }
    let mut pipe = ::redis::pipe();
    for key in &keys {
        pipe.ttl(key);
    }
    let ttls: Vec<i64> = pipe.query_async(conn).await?;
    let mut pipe = ::redis::pipe();
    for (key, _) in keys.iter().zip(ttls).filter(|(_, ttl)| *ttl == -1) {
        pipe.expire(key, OLD_LAYOUT_EXPIRY_SECONDS).ignore();
    }
    pipe.query_async::<()>(conn).await?;
    Ok(next)
}
