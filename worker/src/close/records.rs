//! Records that were loaded and are to be rejects: their raw text is in the chunks' objects, and nowhere else.

use std::collections::HashSet;

use gristmill_pipelines::{Place, Row};
use gristmill_queue::JobError;
use gristmill_uploads::{UploadId, objects};
use object_store::ObjectStoreExt;
use sqlx::PgExecutor;

use crate::{
    Env,
    load::{self, Chunk, Record},
};

/// A record that was good when its chunk was loaded.
pub(super) struct Loaded {
    pub(super) line: i64,
    pub(super) raw: Vec<u8>,
    pub(super) record: Record,
}

/// The records on these lines of a chunk, by line; all of them were good when it was loaded. `poisoned`: the upload's chunks
/// that are.
pub(super) async fn of_chunk(
    env: &Env,
    chunk: Chunk,
    mut lines: Vec<i64>,
    poisoned: &HashSet<i32>,
) -> Result<Vec<Loaded>, JobError> {
    lines.sort_unstable();
    let wanted = lines.clone();
    let object = env.store.get(&objects::chunk(chunk.upload_id, chunk.no)).await?.bytes().await?;
    let is_poisoned = poisoned.contains(&chunk.no);
    let is_wanted = move |line: u64| wanted.binary_search(&line.cast_signed()).is_ok();
    let mut found = load::on_rayon(move || {
        if is_poisoned {
            return one_by_one(&chunk, &object, is_wanted);
        }
        let parsed = chunk.kind.parse(&object, chunk.first_line, &chunk.layout, &chunk.owner, &chunk.rules);
        let loaded = |row: &Row| Loaded {
            line: row.line.cast_signed(),
            raw: object[row.raw_start as usize..][..row.raw_len as usize].to_vec(),
            record: Record::of(row, &parsed.tuples),
        };
        Ok(parsed.rows.iter().filter(|row| is_wanted(row.line)).map(loaded).collect())
    })
    .await??;
    found.sort_unstable_by_key(|loaded: &Loaded| loaded.line);
    if let Some(lost) = lines.iter().find(|line| found.binary_search_by_key(*line, |loaded| loaded.line).is_err()) {
        return Err(JobError::Retry(format!("line {lost} was loaded but is not in its chunk").into()));
    }
    Ok(found)
}

/// Those of a chunk that is not to be parsed as a whole.
fn one_by_one(chunk: &Chunk, object: &[u8], is_wanted: impl Fn(u64) -> bool) -> Result<Vec<Loaded>, JobError> {
    let places =
        gristmill_pipelines::places(object, chunk.first_line, chunk.layout.format(), chunk.rules.max_record_bytes);
    let loaded = |place: &Place| {
        let raw = object[place.bytes.clone()].to_vec();
        Ok(Loaded { line: place.line.cast_signed(), record: load::again(chunk, &raw, place.line)?, raw })
    };
    places.iter().filter(|place| is_wanted(place.line)).map(loaded).collect()
}

/// The upload's chunks in which a record takes down who reads it.
pub(super) async fn poisoned(on: impl PgExecutor<'_>, upload_id: UploadId) -> Result<HashSet<i32>, sqlx::Error> {
    let numbers: Vec<i32> =
        sqlx::query_scalar("select distinct chunk_no from rejects where upload_id = $1 and code = 'poison'")
            .bind(upload_id)
            .fetch_all(on)
            .await?;
    Ok(numbers.into_iter().collect())
}
