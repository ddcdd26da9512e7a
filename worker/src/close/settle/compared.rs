//! Duplicates whose winner was displaced by a row that says something else: they are compared with the row that counts.

use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;

use crate::load::{self, Chunk, Loser, Record};

/// Rejects compared at a time.
const PAGE: i64 = 10_000;

pub(super) async fn settle(conn: &mut PgConnection, chunk: &Chunk) -> Result<(), JobError> {
    loop {
        let stale: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "select line, raw from rejects
             where upload_id = $1 and code = 'duplicate' and differs = '{}' order by line limit $2",
        )
        .bind(chunk.upload_id)
        .bind(PAGE)
        .fetch_all(&mut *conn)
        .await?;
        if stale.is_empty() {
            return Ok(count(conn, chunk.upload_id).await?);
        }
        compare(conn, chunk, &stale).await?;
    }
}

async fn compare(conn: &mut PgConnection, chunk: &Chunk, stale: &[(i64, Vec<u8>)]) -> Result<(), JobError> {
    let records: Vec<Record> =
        stale.iter().map(|(line, raw)| load::again(chunk, raw, line.cast_unsigned())).collect::<Result<_, _>>()?;
    let losers: Vec<Loser<'_>> = records.iter().map(Record::loser).collect();
    let winners = load::find_winners(conn, chunk, &losers).await?;
    if winners.len() != losers.len() {
        return Err(JobError::Retry("a key was given up while its duplicate was compared".into()));
    }
    let lines: Vec<i64> = stale.iter().map(|(line, _)| *line).collect();
    // No column has a comma in its name.
    let differs: Vec<Option<String>> =
        winners.into_iter().map(|winner| Some(winner.differs?.columns.join(","))).collect();
    sqlx::query(
        "update rejects r set differs = string_to_array(t.differs, ',')
         from unnest($2::bigint[], $3::text[]) as t (line, differs)
         where r.upload_id = $1 and r.line = t.line",
    )
    .bind(chunk.upload_id)
    .bind(&lines)
    .bind(&differs)
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts anew how many duplicates say something else.
async fn count(conn: &mut PgConnection, upload_id: UploadId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update chunks c set conflicting = coalesce(r.n, 0)
         from chunks o left join (
             select chunk_no, count(*) as n from rejects where upload_id = $1 and differs is not null group by chunk_no
         ) r on r.chunk_no = o.no
         where c.upload_id = $1 and o.upload_id = $1 and o.no = c.no and c.conflicting <> coalesce(r.n, 0)",
    )
    .bind(upload_id)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update upload_progress set conflicting = (
             select coalesce(sum(conflicting), 0)::bigint from chunks where upload_id = $1
         ) where upload_id = $1",
    )
    .bind(upload_id)
    .execute(conn)
    .await?;
    Ok(())
}
