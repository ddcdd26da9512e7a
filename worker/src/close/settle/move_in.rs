//! An upload's rows become part of their table.

use std::{collections::HashSet, sync::Arc};

use gristmill_queue::JobError;
use gristmill_uploads::OnDuplicate;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    lost::{self, Lost, May},
    suspects::{Suspects, existing},
};
use crate::{
    Env,
    load::Chunk,
    segments::{
        self, History, OwnSegment, Sealed, Segment, filter, inbox,
        keys::{self, Key},
        loaded::LoadedKeys,
    },
};

/// Attaches a segment of the upload's own. `before`: the segments that it was compared with when it was indexed.
pub(super) async fn segment(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    history: &History,
    before: &[Segment],
) -> Result<(), JobError> {
    let client_id = chunk.owner.client_id;
    let meanwhile: Vec<Sealed> =
        history.sealed.iter().copied().filter(|sealed| !before.contains(&sealed.segment)).collect();
    let mut lost = Vec::new();
    if !meanwhile.is_empty() {
        let keys = LoadedKeys::read(conn, segment, client_id).await?;
        let mut hashes = keys.hashes();
        hashes.sort_unstable();
        let suspects = Suspects::among(env, &mut *conn, &Arc::new(hashes), meanwhile).await?;
        lost = suspects.lost(env, conn, chunk, &keys.among(|hash| suspects.has(hash))).await?;
    }
    for live in &history.live {
        lost.extend(in_both(conn, chunk, segment, *live).await?);
    }
    if !lost.is_empty() {
        lost.sort_unstable_by_key(|lost| lost.key);
        lost.dedup_by_key(|lost| lost.key);
        lost = match chunk.on_duplicate {
            OnDuplicate::Replace => {
                lost = lost::there(conn, chunk, segment, lost).await?;
                lost = lost::refuse(env, conn, chunk, lost, May::Replace).await?;
                lost::delete(conn, chunk, segment, lost).await?
            }
            OnDuplicate::Skip | OnDuplicate::Error => {
                lost = lost::delete(conn, chunk, segment, lost).await?;
                lost::refuse(env, conn, chunk, lost, May::Lose).await?
            }
        };
    }
    sqlx::query("select attach_segment($1)").bind(segment.id).execute(&mut *conn).await?;
    sqlx::query("update row_segments set state = 'sealed', sealed_at = now(), rows = rows - $2 where id = $1")
        .bind(segment.id)
        .bind(i64::try_from(lost.len())?)
        .execute(conn)
        .await?;
    Ok(())
}

/// The keys of a segment that rows of a shared one have which count.
async fn in_both(
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    shared: Segment,
) -> Result<Vec<Lost>, sqlx::Error> {
    let (name, key) = (segment.name(), segment.table.key);
    let sql = format!(
        "select o.{key}, o.line from {name} o join {} s on s.client_id = o.client_id and s.{key} = o.{key}
         join uploads u on u.id = s.upload_id and u.state = 'completed'
         where o.client_id = $1",
        shared.name()
    );
    let found: Vec<(Uuid, i64)> = sqlx::query_as(&sql).bind(chunk.owner.client_id).fetch_all(conn).await?;
    Ok(found.into_iter().map(|(key, line)| Lost { key: Key { key: key.as_u128(), line }, to: shared }).collect())
}

/// Moves the rows of a small upload to the segment that small ones share: from its own ones, or from the inbox.
pub(super) async fn shared(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    history: &History,
    own: &[OwnSegment],
) -> Result<(), JobError> {
    let table = chunk.kind.table();
    let open = segments::open_shared(conn, table).await?;
    let mut kept = HashSet::new();
    for own in own {
        let waiting = Segment { table, id: own.id, is_own: true };
        rows(env, conn, chunk, history, open, &waiting.name(), &mut kept).await?;
        sqlx::query("select drop_segment($1)").bind(own.id).execute(&mut *conn).await?;
    }
    if own.is_empty() {
        let inbox = inbox(table);
        rows(env, conn, chunk, history, open, &inbox, &mut kept).await?;
        let delete = format!("delete from {inbox} where upload_id = $1");
        sqlx::query(&delete).bind(chunk.upload_id).execute(&mut *conn).await?;
    }
    sqlx::query("update upload_progress set segment = $2 where upload_id = $1")
        .bind(chunk.upload_id)
        .bind(open.id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Moves the upload's rows that wait in a table to the open segment, and makes rejects of those that have lost their key. `kept`: keys whose first line
/// has not replaced the row that has them, in tables before.
async fn rows(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    history: &History,
    open: Segment,
    waiting: &str,
    kept: &mut HashSet<u128>,
) -> Result<(), JobError> {
    let (table, client_id) = (chunk.kind.table(), chunk.owner.client_id);
    let mut keys = Vec::new();
    keys::of_upload(conn, table, waiting, chunk.upload_id, |key| keys.push(key)).await?;
    keys.sort_unstable();
    let mut hashes: Vec<u64> = keys.iter().map(|key| filter::hash(client_id, key.key)).collect();
    hashes.sort_unstable();
    let hashes = Arc::new(hashes);
    let suspects = Suspects::among(env, &mut *conn, &hashes, history.sealed.iter().copied()).await?;
    let mut lost = suspects.lost(env, conn, chunk, &keys).await?;
    let mut known: HashSet<u128> = lost.iter().map(|lost| lost.key.key).collect();
    // One that is full and has no filter yet.
    for to in history.live.iter().copied().filter(|live| live.id != open.id) {
        let asked = keys.iter().map(|key| key.key).filter(|key| !known.contains(key));
        let found: HashSet<u128> =
            existing(conn, chunk, to, asked).await?.into_iter().map(|key| key.as_u128()).collect();
        lost.extend(keys.iter().filter(|key| found.contains(&key.key)).map(|key| Lost { key: *key, to }));
        known.extend(found);
    }
    if chunk.on_duplicate == OnDuplicate::Replace {
        // Who has a key in the open one is to be known before, too: it may be replaced.
        let asked = keys.iter().map(|key| key.key).filter(|key| !known.contains(key));
        let found: HashSet<u128> =
            existing(conn, chunk, open, asked).await?.into_iter().map(|key| key.as_u128()).collect();
        lost.extend(keys.iter().filter(|key| found.contains(&key.key)).map(|key| Lost { key: *key, to: open }));
        lost = replace_first(env, conn, chunk, lost, kept).await?;
        known = lost.iter().map(|lost| lost.key.key).collect();
        lost.clear();
    }
    let mut taken = insert(conn, chunk, waiting, open, Which::AllBut(&known)).await?;
    let left = |taken: &HashSet<i64>| -> Vec<Key> {
        keys.iter().filter(|key| !known.contains(&key.key) && !taken.contains(&key.line)).copied().collect()
    };
    let conflicts: HashSet<u128> = left(&taken).iter().map(|key| key.key).collect();
    let existing = existing(conn, chunk, open, conflicts.iter().copied()).await?;
    let existing: HashSet<u128> = existing.into_iter().map(|key| key.as_u128()).collect();
    // The others are keys of rows that do not count any more, and are about to be purged.
    let stale: HashSet<u128> = conflicts.difference(&existing).copied().collect();
    if !stale.is_empty() {
        segments::delete(conn, open, client_id, stale.iter().copied()).await?;
        taken.extend(insert(conn, chunk, waiting, open, Which::These(&stale)).await?);
    }
    lost.extend(left(&taken).into_iter().map(|key| Lost { key, to: open }));
    lost::refuse(env, conn, chunk, lost, May::Lose).await.map(drop)
}

/// Has the first line of each key replace the row that has it, and makes rejects of those that do not, and of what comes behind them in the file.
/// Returns all of these.
async fn replace_first(
    env: &Env,
    conn: &mut PgConnection,
    chunk: &Chunk,
    mut lost: Vec<Lost>,
    kept: &mut HashSet<u128>,
) -> Result<Vec<Lost>, JobError> {
    lost.sort_unstable_by_key(|lost| lost.key);
    let mut first = lost.clone();
    first.dedup_by_key(|lost| lost.key.key);
    first.retain(|lost| !kept.contains(&lost.key.key));
    let lines: HashSet<i64> = first.iter().map(|lost| lost.key.line).collect();
    let mut refused = lost::refuse(env, conn, chunk, first, May::Replace).await?;
    kept.extend(refused.iter().map(|lost| lost.key.key));
    lost.retain(|lost| kept.contains(&lost.key.key) && !lines.contains(&lost.key.line));
    refused.extend(lost::refuse(env, conn, chunk, lost, May::Lose).await?);
    Ok(refused)
}

/// Which of the upload's rows that wait.
enum Which<'a> {
    AllBut(&'a HashSet<u128>),
    These(&'a HashSet<u128>),
}

/// Inserts rows that wait, by key and of each key the first line first; a key that the segment has is passed over. Returns
/// the lines of those that went in.
async fn insert(
    conn: &mut PgConnection,
    chunk: &Chunk,
    waiting: &str,
    into: Segment,
    which: Which<'_>,
) -> Result<HashSet<i64>, sqlx::Error> {
    let table = into.table;
    let (columns, key) = (table.columns.join(", "), table.key);
    let (keys, is) = match which {
        Which::AllBut(keys) => (keys, "not"),
        Which::These(keys) => (keys, ""),
    };
    let sql = format!(
        "with inserted as (
             insert into {} ({columns}) select {columns} from {waiting} where upload_id = $1 and {is} {key} = any($2)
             order by {key}, line on conflict (client_id, {key}) do nothing returning line)
         select coalesce(array_agg(line), '{{}}') from inserted",
        into.name()
    );
    let lines: Vec<i64> = sqlx::query_scalar(&sql).bind(chunk.upload_id).bind(uuids(keys)).fetch_one(conn).await?;
    Ok(lines.into_iter().collect())
}

fn uuids(keys: &HashSet<u128>) -> Vec<Uuid> {
    keys.iter().copied().map(Uuid::from_u128).collect()
}
