//! A chunk's row: what its job has to know, and where it counts.

use gristmill_pipelines::{Kind, Layout, Limits, Owner};
use gristmill_queue::JobError;
use gristmill_uploads::{OversizeNote, Policy};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::prepare::Counts;

/// A chunk with what its upload says of it.
pub(crate) struct ChunkRecord {
    pub(crate) upload_id: Uuid,
    pub(crate) no: i32,
    pub(crate) kind: Kind,
    pub(crate) policy: Policy,
    pub(crate) layout: Layout,
    pub(crate) owner: Owner,
    pub(crate) first_line: u64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) oversize: Vec<OversizeNote>,
    /// Rejects of the upload's other chunks so far.
    pub(crate) rejected_before: i64,
    /// Duplicates of another file were met: do not hope for none.
    pub(crate) careful: bool,
    /// Most of the upload's rows so far were duplicates.
    pub(crate) mostly_known: bool,
}

#[derive(FromRow)]
struct Columns {
    client_id: i32,
    kind: String,
    policy: String,
    header: Vec<u8>,
    first_line: i64,
    sha256: Vec<u8>,
    oversize: Option<Json<Vec<OversizeNote>>>,
    rejected: i64,
    careful: bool,
    mostly_known: bool,
}

impl ChunkRecord {
    /// The chunk, if its upload still wants it.
    pub(crate) async fn find(pool: &PgPool, upload_id: Uuid, no: i32) -> Result<Option<Self>, JobError> {
        let columns: Option<Columns> = sqlx::query_as(
            "select u.client_id, u.kind, u.policy, u.header, c.first_line, c.sha256, c.oversize, p.rejected, p.careful,
                    p.duplicate > p.rows_read / 2 as mostly_known
             from chunks c join uploads u on u.id = c.upload_id join upload_progress p on p.upload_id = u.id
             where c.upload_id = $1 and c.no = $2 and u.state in ('receiving', 'processing')",
        )
        .bind(upload_id)
        .bind(no)
        .fetch_optional(pool)
        .await?;
        let Some(columns) = columns else { return Ok(None) };
        let kind: Kind = columns.kind.parse()?;
        Ok(Some(Self {
            upload_id,
            no,
            kind,
            policy: columns.policy.parse()?,
            layout: kind.read_header(&columns.header, &Limits::unbounded())?,
            owner: Owner { client_id: columns.client_id, upload_id },
            first_line: columns.first_line.cast_unsigned(),
            sha256: columns.sha256,
            oversize: columns.oversize.map(|Json(notes)| notes).unwrap_or_default(),
            rejected_before: columns.rejected,
            careful: columns.careful,
            mostly_known: columns.mostly_known,
        }))
    }
}

/// Writes the chunk's counts and adds them to the upload's.
pub(super) async fn count(
    conn: &mut PgConnection,
    chunk: &ChunkRecord,
    counts: &Counts,
    loaded: u64,
    unsettled: i64,
    surprised: bool,
) -> Result<(), JobError> {
    let counted = sqlx::query(
        "with chunk as (
             update chunks set rows_read = $3, accepted = $4, rejected = $5, duplicate = $6, unsettled = $7,
                               done_at = clock_timestamp()
             where upload_id = $1 and no = $2 and done_at is null
             returning upload_id
         )
         update upload_progress p
         set chunks_done = chunks_done + 1, rows_read = p.rows_read + $3, accepted = p.accepted + $4,
             rejected = p.rejected + $5, duplicate = p.duplicate + $6, careful = p.careful or $8,
             loaded = p.loaded + $9,
             first_row_at = coalesce(first_row_at, clock_timestamp())
         from chunk where p.upload_id = chunk.upload_id",
    )
    .bind(chunk.upload_id)
    .bind(chunk.no)
    .bind(counts.read.cast_signed())
    .bind(counts.accepted.cast_signed())
    .bind(counts.rejected.cast_signed())
    .bind(counts.duplicate.cast_signed())
    .bind(unsettled)
    .bind(surprised)
    .bind(loaded.cast_signed())
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
