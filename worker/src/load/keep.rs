//! Which of a chunk's rejected records are kept. A few bytes that are wrong become a row each, so an upload has a limit:
//! what is beyond it is counted, by reason and column, and not kept. Duplicates are always kept, as they may be taken
//! after all; each is a whole good record.

use std::collections::BTreeMap;

use gristmill_pipelines::ReasonCode;
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{PgConnection, PgPool};

use super::{
    chunk::Chunk,
    prepare::{PreparedChunk, RejectedRecord},
    reasons::{self, Reasons},
};

/// Rejected records that a chunk keeps without asking what others keep, while the limit is not near.
const FREE: u64 = 1_000;

/// What became of a chunk's rejected records.
#[derive(Debug, Default)]
pub(crate) struct KeptRejects {
    /// Records kept whose places nobody has taken yet: they are counted with the chunk.
    pub(super) uncounted: u64,
    /// Those that were not kept, by reason and column (empty: the whole record).
    unkept: BTreeMap<(&'static str, &'static str), u64>,
    /// The same by reason alone, each with the first line.
    reasons: Reasons,
}

impl KeptRejects {
    /// How many were not kept.
    pub(super) fn left_out(&self) -> u64 {
        self.unkept.values().sum()
    }

    /// Leaves only the first so many of these records, by line, and those that are duplicates.
    pub(crate) fn places(refused: &mut Vec<RejectedRecord>, mut places: u64) -> Self {
        let mut kept = Self::default();
        refused.sort_unstable_by_key(|refused| refused.line);
        refused.retain(|refused| {
            let keep = refused.code == ReasonCode::Duplicate || places > 0;
            match (refused.code, keep) {
                (ReasonCode::Duplicate, _) => {}
                (_, true) => places -= 1,
                (_, false) => kept.leave_out(refused),
            }
            keep
        });
        kept
    }

    /// Takes a rejected record out of those that are kept. They come by line.
    fn leave_out(&mut self, record: &RejectedRecord) {
        let code = record.code.as_str();
        *self.unkept.entry((code, record.column.unwrap_or_default())).or_default() += 1;
        self.reasons.entry(code).or_insert((0, record.line.cast_signed())).0 += 1;
    }

    /// Notes what was not kept, in the chunk's transaction. All chunks go in the same order, so none waits in a circle.
    pub(crate) async fn note(
        &self,
        conn: &mut PgConnection,
        upload_id: UploadId,
        chunk_no: i32,
    ) -> Result<(), JobError> {
        if self.unkept.is_empty() {
            return Ok(());
        }
        let (codes, columns): (Vec<&str>, Vec<&str>) = self.unkept.keys().copied().unzip();
        let records: Vec<i64> = self.unkept.values().map(|records| records.cast_signed()).collect();
        sqlx::query(
            "insert into unkept_rejects as u (upload_id, code, column_name, records)
             select $1, code, name, records from unnest($2::text[], $3::text[], $4::bigint[]) n (code, name, records)
             on conflict (upload_id, code, column_name) do update set records = u.records + excluded.records",
        )
        .bind(upload_id)
        .bind(codes)
        .bind(columns)
        .bind(records)
        .execute(&mut *conn)
        .await?;
        reasons::add(conn, upload_id, chunk_no, self.reasons.clone()).await
    }
}

/// Leaves out what is beyond the upload's limit. Places are taken before the chunk's transaction, so that no chunk waits
/// for another's; those of a run that did not come to its end stay taken, which only leaves the upload fewer.
pub(super) async fn within_limit(
    pool: &PgPool,
    chunk: &Chunk,
    prepared: &mut PreparedChunk,
) -> Result<KeptRejects, sqlx::Error> {
    let rejected = prepared.counts().rejected;
    if rejected <= FREE && chunk.kept_before + rejected <= chunk.max_rejects {
        return Ok(KeptRejects { uncounted: rejected, ..KeptRejects::default() });
    }
    let taken: i64 = sqlx::query_scalar(
        "with seen as (select upload_id, least($2, greatest($3 - kept_rejects, 0)) as places
                       from upload_progress where upload_id = $1 for update)
         update upload_progress p set kept_rejects = p.kept_rejects + seen.places
         from seen where p.upload_id = seen.upload_id returning seen.places",
    )
    .bind(chunk.upload_id)
    .bind(rejected.cast_signed())
    .bind(chunk.max_rejects.cast_signed())
    .fetch_one(pool)
    .await?;
    let kept = KeptRejects::places(&mut prepared.refused, taken.unsigned_abs());
    prepared.left_out = kept.left_out();
    Ok(kept)
}
