//! Keys that the table had already: who has them, and whether that is the last word.

use std::collections::HashMap;

use gristmill_queue::JobError;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use super::{
    prepare::{Lost, Prepared},
    record::ChunkRecord,
};

/// The row that has a key, and whether its file is closed.
#[derive(FromRow)]
pub(crate) struct Winner {
    pub(crate) key: Uuid,
    pub(crate) upload_id: Uuid,
    pub(crate) line: i64,
    pub(crate) closed: bool,
}

/// Who has these keys of a client now.
pub(crate) async fn find_winners(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    keys: &[Uuid],
) -> Result<Vec<Winner>, sqlx::Error> {
    let table = chunk.kind.table();
    let id = table.key[0];
    let find = format!(
        "select d.{id} as key, d.upload_id, d.line, u.state = 'completed' as closed
         from unnest($1::uuid[]) as k (id)
         join {} d on d.{id} = k.id and d.client_id = $2
         join uploads u on u.id = d.upload_id",
        table.name
    );
    sqlx::query_as(AssertSqlSafe(find)).bind(keys).bind(chunk.owner.client_id).fetch_all(conn).await
}

/// Finds who has the refused keys.
pub(super) async fn winners(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    prepared: &Prepared,
    refused: Vec<Uuid>,
) -> Result<Vec<Lost>, JobError> {
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let winners = find_winners(conn, chunk, &refused).await?;
    if winners.len() != refused.len() {
        // The one who had a key was purged between the two statements: the next run finds it free.
        return Err(JobError::Retry("a key was given up while its duplicate was looked at".into()));
    }
    let by_key: HashMap<u128, Winner> = winners.into_iter().map(|winner| (winner.key.as_u128(), winner)).collect();
    let lost = prepared.rows.iter().enumerate().filter_map(|(row, mine)| {
        let winner = by_key.get(&mine.key)?;
        let line = winner.line.cast_unsigned();
        let unsettled = if winner.upload_id == chunk.upload_id { line > mine.line } else { !winner.closed };
        Some(Lost { row, first: (winner.upload_id, line), unsettled })
    });
    Ok(lost.collect())
}

/// Turns lost rows into rejects and notes for which other uploads the join has to wait. Returns how many of them the
/// join must settle.
pub(super) async fn refuse(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    prepared: &mut Prepared,
    lost: Vec<Lost>,
) -> Result<i64, JobError> {
    prepared.lose(chunk, &lost);
    let unsettled: Vec<&Lost> = lost.iter().filter(|lost| lost.unsettled).collect();
    let mut others: Vec<Uuid> = unsettled.iter().map(|lost| lost.first.0).filter(|id| *id != chunk.upload_id).collect();
    others.sort_unstable();
    others.dedup();
    wait_for(conn, chunk.upload_id, &others).await?;
    Ok(i64::try_from(unsettled.len())?)
}

/// Notes that an upload's join has to wait for the end of others.
pub(crate) async fn wait_for(conn: &mut PgConnection, upload_id: Uuid, others: &[Uuid]) -> Result<(), sqlx::Error> {
    if others.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into upload_waits (upload_id, on_upload_id) select $1, unnest($2::uuid[]) on conflict do nothing",
    )
    .bind(upload_id)
    .bind(others)
    .execute(conn)
    .await?;
    Ok(())
}
