//! Keys that the table had already: who has them, and whether that is the last word.

use std::collections::{BTreeSet, HashSet};

use gristmill_queue::JobError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    prepare::{Lost, Prepared},
    record::ChunkRecord,
};

/// The row that has a key, and whether its file is closed.
pub(crate) struct Winner {
    pub(crate) key: Uuid,
    pub(crate) upload_id: Uuid,
    pub(crate) line: i64,
    pub(crate) closed: bool,
}

/// Who has these keys of a client now, in the order of the keys.
pub(crate) async fn find_winners(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    keys: &[Uuid],
) -> Result<Vec<Winner>, JobError> {
    let table = chunk.kind.table();
    let id = table.key[0];
    // The `offset` makes it one look into the key's index for each key: for many keys the planner would read the whole
    // table instead, however large it is. One row of arrays, because a row a key costs more than its look-up.
    let find = format!(
        "select coalesce(array_agg(k.place), '{{}}'), coalesce(array_agg(d.upload_id), '{{}}'),
                coalesce(array_agg(d.line), '{{}}')
         from unnest($1::uuid[]) with ordinality as k (id, place)
         cross join lateral (
             select upload_id, line from {} where {id} = k.id and client_id = $2 offset 0
         ) d",
        table.name
    );
    let (places, uploads, lines): (Vec<i64>, Vec<Uuid>, Vec<i64>) =
        sqlx::query_as(&find).bind(keys).bind(chunk.owner.client_id).fetch_one(&mut *conn).await?;
    let distinct: Vec<Uuid> = uploads.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let closed: Vec<Uuid> = sqlx::query_scalar("select id from uploads where id = any($1) and state = 'completed'")
        .bind(&distinct)
        .fetch_all(conn)
        .await?;
    let mut winners = Vec::with_capacity(places.len());
    for ((place, upload_id), line) in places.into_iter().zip(uploads).zip(lines) {
        let key = keys[usize::try_from(place)? - 1];
        winners.push(Winner { key, upload_id, line, closed: closed.contains(&upload_id) });
    }
    winners.sort_unstable_by_key(|winner| winner.key);
    Ok(winners)
}

/// The staged rows that were not inserted: the table had their keys.
pub(super) async fn refused(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    prepared: &Prepared,
    staged: &[bool],
    inserted: Vec<Uuid>,
) -> Result<Vec<Lost>, JobError> {
    let inserted: HashSet<u128> = inserted.into_iter().map(|key| key.as_u128()).collect();
    let open = prepared.rows.iter().zip(staged).filter(|(row, staged)| **staged && !inserted.contains(&row.key));
    let keys: Vec<Uuid> = open.map(|(row, _)| Uuid::from_u128(row.key)).collect();
    let lost = among(conn, chunk, prepared, &keys).await?;
    if lost.len() != keys.len() {
        // The one who had a key was purged between the two statements: the next run finds it free.
        return Err(JobError::Retry("a key was given up while its duplicate was looked at".into()));
    }
    Ok(lost)
}

/// The rows of the chunk whose keys the table has now.
pub(super) async fn known(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    prepared: &Prepared,
) -> Result<Vec<Lost>, JobError> {
    let keys: Vec<Uuid> = prepared.rows.iter().map(|row| Uuid::from_u128(row.key)).collect();
    among(conn, chunk, prepared, &keys).await
}

async fn among(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    prepared: &Prepared,
    keys: &[Uuid],
) -> Result<Vec<Lost>, JobError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut winners = find_winners(conn, chunk, keys).await?.into_iter().peekable();
    let mut lost = Vec::with_capacity(winners.len());
    // Both are in the order of the key.
    for (row, mine) in prepared.rows.iter().enumerate() {
        let Some(winner) = winners.next_if(|winner| winner.key.as_u128() == mine.key) else { continue };
        let line = winner.line.cast_unsigned();
        let unsettled = if winner.upload_id == chunk.upload_id { line > mine.line } else { !winner.closed };
        lost.push(Lost { row, first: (winner.upload_id, line), unsettled });
    }
    Ok(lost)
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
