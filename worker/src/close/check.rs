//! Conservation: a file is closed only if its rows and bytes add up, counted again from the rows themselves. Those
//! of an own segment were counted when it was indexed; what lost its key since is taken off.

use gristmill_pipelines::Kind;
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{FromRow, PgConnection};

use crate::rows;

#[derive(FromRow)]
struct Sums {
    kind: String,
    file_bytes: Option<i64>,
    file_lines: Option<i64>,
    header_lines: i64,
    chunk_lines: Option<i64>,
    header_bytes: i64,
    chunk_bytes: i64,
    chunks: i64,
    chunks_done: i64,
    counted_done: i64,
    read: i64,
    accepted: i64,
    rejected: i64,
    duplicate: i64,
    total_read: i64,
    total_accepted: i64,
    total_rejected: i64,
    total_duplicate: i64,
    conflicting: i64,
    total_conflicting: i64,
    rejects: i64,
    unkept: i64,
    total_unkept: i64,
    unkept_told: i64,
}

/// What does not add up, in words; empty when everything does.
pub(super) async fn violations(conn: &mut PgConnection, upload_id: UploadId) -> Result<Vec<String>, JobError> {
    let sums: Sums = sqlx::query_as(
        "select u.kind, coalesce(u.text_bytes, u.bytes) as file_bytes, u.lines as file_lines, u.header_bytes, c.*, p.chunks_done as counted_done,
                p.rows_read as total_read, p.accepted as total_accepted, p.rejected as total_rejected,
                p.duplicate as total_duplicate, p.conflicting as total_conflicting,
                p.unkept as total_unkept, (select count(*) from rejects where upload_id = u.id) as rejects,
                (select coalesce(sum(records), 0)::bigint from unkept_rejects where upload_id = u.id) as unkept_told
         from uploads u
         join upload_progress p on p.upload_id = u.id
         cross join lateral (
             select coalesce(min(first_line) - 1, u.lines, 0) as header_lines,
                    case when count(lines) = count(*) then coalesce(sum(lines), 0)::bigint end as chunk_lines,
                    coalesce(sum(bytes), 0)::bigint as chunk_bytes, count(*) as chunks, count(done_at) as chunks_done,
                    coalesce(sum(rows_read), 0)::bigint as read, coalesce(sum(accepted), 0)::bigint as accepted,
                    coalesce(sum(rejected), 0)::bigint as rejected, coalesce(sum(duplicate), 0)::bigint as duplicate,
                    coalesce(sum(conflicting), 0)::bigint as conflicting, coalesce(sum(unkept), 0)::bigint as unkept
             from chunks where upload_id = u.id
         ) c
         where u.id = $1",
    )
    .bind(upload_id)
    .fetch_one(&mut *conn)
    .await?;
    let kind: Kind = sums.kind.parse()?;
    let rows = rows::count(conn, kind.table(), upload_id).await?;

    // The file's were counted by who received it, the chunks' by who read them; of an upload begun before, by nobody.
    let lines = match (sums.file_lines, sums.chunk_lines) {
        (Some(file), Some(chunks)) => {
            ("lines of header and chunks", sums.header_lines + chunks, "lines of the file", file)
        }
        _ => ("lines", 0, "lines", 0),
    };
    let equations = [
        ("chunks loaded", sums.chunks_done, "chunks", sums.chunks),
        ("chunks counted", sums.counted_done, "chunks", sums.chunks),
        (
            "bytes of header and chunks",
            sums.header_bytes + sums.chunk_bytes,
            "bytes of the file",
            sums.file_bytes.unwrap_or(-1),
        ),
        lines,
        ("records read", sums.read, "accepted + rejected + duplicate", sums.accepted + sums.rejected + sums.duplicate),
        ("records read in total", sums.total_read, "in the chunks", sums.read),
        ("rows accepted in total", sums.total_accepted, "in the chunks", sums.accepted),
        ("records rejected in total", sums.total_rejected, "in the chunks", sums.rejected),
        ("duplicates in total", sums.total_duplicate, "in the chunks", sums.duplicate),
        ("conflicting duplicates in total", sums.total_conflicting, "in the chunks", sums.conflicting),
        ("rows in the table", rows, "accepted", sums.accepted),
        ("rejects kept and not", sums.rejects + sums.unkept, "rejected + duplicate", sums.rejected + sums.duplicate),
        ("rejects not kept in total", sums.total_unkept, "in the chunks", sums.unkept),
        ("rejects not kept by reason", sums.unkept_told, "in the chunks", sums.unkept),
    ];
    Ok(equations
        .into_iter()
        .filter(|(_, left, _, right)| left != right)
        .map(|(left_name, left, right_name, right)| format!("{left_name} {left} ≠ {right_name} {right}"))
        .collect())
}
