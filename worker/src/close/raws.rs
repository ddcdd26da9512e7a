//! The raw text of records that were loaded and are to be rejects: it is in the chunks' objects, and nowhere else.

use gristmill_pipelines::Place;
use gristmill_queue::JobError;
use gristmill_uploads::{UploadId, objects};
use object_store::ObjectStoreExt;
use sqlx::PgPool;

use crate::{
    Env,
    load::{self, Chunk},
};

/// The records on these lines of a chunk, by line; all of them were good when it was loaded.
pub(super) async fn of_chunk(env: &Env, chunk: Chunk, mut lines: Vec<i64>) -> Result<Vec<(i64, Vec<u8>)>, JobError> {
    lines.sort_unstable();
    let wanted = lines.clone();
    let object = env.store.get(&objects::chunk(chunk.upload_id, chunk.no)).await?.bytes().await?;
    let poisoned = is_poisoned(&env.pool, chunk.upload_id, chunk.no).await?;
    let is_wanted = move |line: u64| wanted.binary_search(&line.cast_signed()).is_ok();
    let mut found: Vec<(i64, Vec<u8>)> = load::on_rayon(move || {
        if poisoned {
            // Not to be parsed as a whole.
            let max_record_bytes = chunk.rules.max_record_bytes;
            let places =
                gristmill_pipelines::places(&object, chunk.first_line, chunk.layout.format(), max_record_bytes);
            let raw = |place: &Place| (place.line.cast_signed(), object[place.bytes.clone()].to_vec());
            return places.iter().filter(|place| is_wanted(place.line)).map(raw).collect();
        }
        let parsed = chunk.kind.parse(&object, chunk.first_line, &chunk.layout, &chunk.owner, &chunk.rules);
        let raw = |start: u32, len: u32| object[start as usize..][..len as usize].to_vec();
        let rows = parsed.rows.iter().filter(|row| is_wanted(row.line));
        rows.map(|row| (row.line.cast_signed(), raw(row.raw_start, row.raw_len))).collect()
    })
    .await?;
    found.sort_unstable_by_key(|(line, _)| *line);
    if let Some(lost) = lines.iter().find(|line| found.binary_search_by_key(*line, |(line, _)| *line).is_err()) {
        return Err(JobError::Retry(format!("line {lost} was loaded but is not in its chunk").into()));
    }
    Ok(found)
}

/// Whether one of the chunk's records takes down who reads it.
async fn is_poisoned(pool: &PgPool, upload_id: UploadId, no: i32) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from rejects where upload_id = $1 and code = 'poison' and chunk_no = $2)")
        .bind(upload_id)
        .bind(no)
        .fetch_one(pool)
        .await
}
