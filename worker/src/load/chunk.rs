//! A chunk's row: what its job has to know, and where it counts.

use std::sync::Arc;

use gristmill_core::ClientId;
use gristmill_pipelines::{Kind, Layout, Limits, Owner, Reading, Rules};
use gristmill_queue::{GroupId, JobError};
use gristmill_uploads::{OnDuplicate, OversizeNote, Policy, UploadId};
use sqlx::{FromRow, PgConnection, types::Json};

use super::{keep::KeptRejects, prepare::Counts};
use crate::{Env, kinds, segments};

/// A chunk with what its upload says of it.
#[derive(Clone)]
pub(crate) struct Chunk {
    pub(crate) upload_id: UploadId,
    pub(crate) no: i32,
    pub(crate) kind: Kind,
    /// Only the part of it that starts at this byte of its object.
    pub(crate) part: Option<i64>,
    pub(crate) policy: Policy,
    pub(crate) on_duplicate: OnDuplicate,
    pub(crate) layout: Layout,
    pub(crate) owner: Owner,
    /// How its records are checked, with the client's own rules.
    pub(crate) rules: Arc<Rules>,
    pub(crate) first_line: u64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) oversize: Vec<OversizeNote>,
    /// The size of the upload's first chunk, and the segment of the upload's own for the rows of this one, if it is there.
    pub(super) first_bytes: i64,
    pub(super) segment: Option<i32>,
    /// Of an upload that arrived whole and is this chunk alone: the group, which has no other member.
    pub(super) whole: Option<GroupId>,
    /// Rejected records that the upload may keep.
    pub(crate) max_rejects: u64,
    /// Those that its other chunks keep so far, duplicates aside.
    pub(crate) kept_before: u64,
    /// Rejects of the upload's other chunks so far.
    pub(crate) rejected_before: i64,
}

#[derive(FromRow)]
struct Columns {
    client_id: ClientId,
    kind: String,
    policy: String,
    on_duplicate: String,
    header: Vec<u8>,
    reading: Option<Json<Reading>>,
    max_record_bytes: Option<i64>,
    first_line: i64,
    sha256: Vec<u8>,
    oversize: Option<Json<Vec<OversizeNote>>>,
    rejected: i64,
    kept_rejects: i64,
    max_rejects: Option<i64>,
    first_bytes: i64,
    segment: Option<i32>,
    whole: Option<GroupId>,
}

impl Chunk {
    /// Another chunk of the upload, as far as it matters to who reads its records.
    pub(crate) fn other(&self, no: i32, first_line: u64) -> Self {
        Self { no, first_line, ..self.clone() }
    }

    /// The chunk, if its upload still wants it.
    pub(crate) async fn find(env: &Env, upload_id: UploadId, no: i32) -> Result<Option<Self>, JobError> {
        let columns: Option<Columns> = sqlx::query_as(
            "select u.client_id, u.kind, u.policy, u.on_duplicate, u.header, u.reading, u.max_record_bytes, c.first_line, c.sha256, c.oversize, p.rejected, p.kept_rejects, l.max_rejects,
                    (select bytes from chunks where upload_id = u.id and no = 0) as first_bytes,
                    (select id from row_segments where upload_id = u.id and part = c.no / $3) as segment,
                    case when u.state = 'processing' and u.header_bytes + c.bytes = coalesce(u.text_bytes, u.bytes) then u.group_id end as whole
             from chunks c join uploads u on u.id = c.upload_id join upload_progress p on p.upload_id = u.id
                  left join client_limits l on l.client_id = u.client_id
             where c.upload_id = $1 and c.no = $2 and u.state in ('receiving', 'processing')",
        )
        .bind(upload_id)
        .bind(no)
        .bind(segments::CHUNKS)
        .fetch_optional(&env.pool)
        .await?;
        let Some(columns) = columns else { return Ok(None) };
        let kind: Kind = columns.kind.parse()?;
        let reading = columns.reading.map(|Json(reading)| reading).unwrap_or_default();
        let rules = as_it_was_cut(&env.rules, columns.max_record_bytes);
        let rules =
            kinds::rules(env, kind, rules, Owner { client_id: columns.client_id.get(), upload_id: upload_id.get() })
                .await?;
        Ok(Some(Self {
            upload_id,
            no,
            kind,
            part: None,
            policy: columns.policy.parse()?,
            on_duplicate: columns.on_duplicate.parse()?,
            layout: kind.read_header_as(&columns.header, &reading, &Limits::unbounded())?,
            owner: Owner { client_id: columns.client_id.get(), upload_id: upload_id.get() },
            rules,
            first_line: columns.first_line.cast_unsigned(),
            sha256: columns.sha256,
            oversize: columns.oversize.map(|Json(notes)| notes).unwrap_or_default(),
            first_bytes: columns.first_bytes,
            segment: columns.segment,
            whole: columns.whole,
            max_rejects: columns.max_rejects.map_or(env.max_rejects, i64::unsigned_abs),
            kept_before: columns.kept_rejects.unsigned_abs(),
            rejected_before: columns.rejected,
        }))
    }

    /// Makes it the part of the chunk that starts at this byte of its object and at this line of the file.
    pub(super) fn become_part(&mut self, first_byte: i64, first_line: u64) {
        self.part = Some(first_byte);
        self.first_line = first_line;
        if first_byte > 0 {
            // They count with the first part, which there always is.
            self.oversize.clear();
        }
    }
}

/// The rules with the limit of records by which the file was cut, whatever this process' own is.
fn as_it_was_cut(rules: &Arc<Rules>, max_record_bytes: Option<i64>) -> Arc<Rules> {
    let own = rules.max_record_bytes;
    let cut = max_record_bytes.map_or(own, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if cut == own { rules.clone() } else { Arc::new(Rules { max_record_bytes: cut, ..(**rules).clone() }) }
}

/// Adds the counts of a chunk, or of a part of it, to the chunk's and the upload's. A chunk without further parts is done.
pub(super) async fn count(
    conn: &mut PgConnection,
    chunk: &Chunk,
    counts: &Counts,
    kept: &KeptRejects,
    loaded: u64,
) -> Result<(), JobError> {
    if let Some(first_byte) = chunk.part {
        take_out_part(&mut *conn, chunk, first_byte).await?;
    }
    let counted = sqlx::query(
        "with chunk as (
             update chunks
             set rows_read = coalesce(rows_read, 0) + $3, accepted = coalesce(accepted, 0) + $4,
                 rejected = coalesce(rejected, 0) + $5, duplicate = coalesce(duplicate, 0) + $6,
                 unkept = unkept + $9, blank = coalesce(blank, 0) + $10, lines = coalesce(lines, 0) + $11,
                 conflicting = conflicting + $12,
                 done_at = case when not exists (select from chunk_parts where upload_id = $1 and no = $2)
                           then clock_timestamp() end
             where upload_id = $1 and no = $2 and done_at is null
             returning upload_id, done_at
         )
         update upload_progress p
         set chunks_done = chunks_done + (chunk.done_at is not null)::int, rows_read = p.rows_read + $3, accepted = p.accepted + $4,
             rejected = p.rejected + $5, duplicate = p.duplicate + $6, conflicting = p.conflicting + $12,
             loaded = p.loaded + $7, kept_rejects = p.kept_rejects + $8, unkept = p.unkept + $9,
             first_row_at = coalesce(first_row_at, clock_timestamp())
         from chunk where p.upload_id = chunk.upload_id",
    )
    .bind(chunk.upload_id)
    .bind(chunk.no)
    .bind(counts.read.cast_signed())
    .bind(counts.accepted.cast_signed())
    .bind(counts.rejected.cast_signed())
    .bind(counts.duplicate.cast_signed())
    .bind(loaded.cast_signed())
    .bind(kept.uncounted.cast_signed())
    .bind(kept.left_out().cast_signed())
    .bind(counts.blank.cast_signed())
    .bind(counts.lines.cast_signed())
    .bind(counts.conflicting.cast_signed())
    .execute(conn)
    .await?;
    if counted.rows_affected() != 1 {
        return Err(JobError::Discard(
            format!("chunk {} of upload {} is counted already though its job was not done", chunk.no, chunk.upload_id)
                .into(),
        ));
    }
    Ok(())
}

/// A part is no longer open. Parts of a chunk do this one after the other, so that the last one knows that it is the last.
async fn take_out_part(conn: &mut PgConnection, chunk: &Chunk, first_byte: i64) -> Result<(), JobError> {
    sqlx::query("select from chunks where upload_id = $1 and no = $2 for update")
        .bind(chunk.upload_id)
        .bind(chunk.no)
        .execute(&mut *conn)
        .await?;
    let taken = sqlx::query("delete from chunk_parts where upload_id = $1 and no = $2 and first_byte = $3")
        .bind(chunk.upload_id)
        .bind(chunk.no)
        .bind(first_byte)
        .execute(conn)
        .await?;
    match taken.rows_affected() {
        1 => Ok(()),
        _ => Err(JobError::discard("a part of a chunk is counted already though its job was not done")),
    }
}
