//! Duplicates that named a record which has lost its key itself: they name the one that has it now, and are compared with
//! that one.

use std::collections::{BTreeMap, HashMap};

use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;

use crate::{
    load::{self, Chunk, Loser, Record},
    segments::Segment,
};

/// Has the rejects that name one of these lines as their first name what those name.
pub(super) async fn follow(
    conn: &mut PgConnection,
    chunk: &Chunk,
    to: &BTreeMap<i64, Segment>,
) -> Result<(), JobError> {
    let of_own: Vec<(i64, i64)> = sqlx::query_as(
        "select line, first_line from rejects where upload_id = $1 and code = 'duplicate' and first_upload_id = $1",
    )
    .bind(chunk.upload_id)
    .fetch_all(&mut *conn)
    .await?;
    // One that lost to a later line of its file is not among these: the close compares with earlier ones alone.
    let stale: HashMap<i64, Segment> =
        of_own.into_iter().filter_map(|(line, first)| Some((line, *to.get(&first)?))).collect();
    let raws: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select line, raw from rejects where upload_id = $1 and line = any($2) order by line")
            .bind(chunk.upload_id)
            .bind(stale.keys().copied().collect::<Vec<i64>>())
            .fetch_all(&mut *conn)
            .await?;
    let mut by_segment: BTreeMap<i32, (Segment, Vec<(i64, Record)>)> = BTreeMap::new();
    for (line, raw) in raws {
        let record = load::again(chunk, &raw, line.cast_unsigned())?;
        let segment = stale[&line];
        by_segment.entry(segment.id).or_insert((segment, Vec::new())).1.push((line, record));
    }
    for (segment, records) in by_segment.into_values() {
        compare(conn, chunk, segment, &records).await?;
    }
    Ok(())
}

async fn compare(
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    records: &[(i64, Record)],
) -> Result<(), JobError> {
    let losers: Vec<Loser<'_>> = records.iter().map(|(_, record)| record.loser()).collect();
    let winners = load::find_winners(conn, chunk, segment, &losers).await?;
    if winners.len() != losers.len() {
        return Err(JobError::Retry("a key was given up while its duplicate was compared".into()));
    }
    let lines: Vec<i64> = records.iter().map(|(line, _)| *line).collect();
    let (uploads, firsts): (Vec<UploadId>, Vec<i64>) =
        winners.iter().map(|winner| (winner.upload_id, winner.line)).unzip();
    // No column has a comma in its name.
    let differs: Vec<Option<String>> =
        winners.into_iter().map(|winner| Some(winner.differs?.columns.join(","))).collect();
    sqlx::query(
        "update rejects r set first_upload_id = t.upload_id, first_line = t.first_line, differs = string_to_array(t.differs, ',')
         from unnest($2::bigint[], $3::uuid[], $4::bigint[], $5::text[]) as t (line, upload_id, first_line, differs)
         where r.upload_id = $1 and r.line = t.line",
    )
    .bind(chunk.upload_id)
    .bind(&lines)
    .bind(&uploads)
    .bind(&firsts)
    .bind(&differs)
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts anew how many duplicates say something else.
pub(super) async fn count(conn: &mut PgConnection, upload_id: UploadId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update chunks c set conflicting = coalesce(r.n, 0)
         from chunks o left join (
             select chunk_no, count(*) as n from rejects where upload_id = $1 and code = 'duplicate' and differs is not null group by chunk_no
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
