use gristmill_uploads::UploadId;
use sqlx::PgPool;

use super::{Finding, some};
use crate::chaos::workload::{SentUpload, Workload, lock};

/// No file was refused, and each was accepted in the end: the client sent it until it was.
pub(super) fn accepted(workload: &Workload) -> Finding {
    let sent = lock(&workload.uploads);
    let open: Vec<_> = sent.iter().filter(|(_, sent)| sent.accepted.is_none()).collect();
    Finding {
        promise: "every file was taken in the end",
        counted: format!("{} files", sent.len()),
        wrong: some(open, |(name, sent)| format!("{name}: {}", sent.refused.as_deref().unwrap_or("never answered"))),
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: UploadId,
    filename: String,
    state: String,
    reason: Option<String>,
    purged: bool,
    /// Read, accepted, rejected, duplicate, conflicting.
    rows: Vec<i64>,
    /// Rows and rejects that are in the tables.
    there: i64,
    rejects: i64,
    closes: i64,
    /// Its rows were kept for long enough.
    dropped: bool,
}

/// What was answered with 202 ends as its file says; what was not has ended too; of what failed no row is left.
pub(super) async fn conserved(pool: &PgPool, workload: &Workload) -> anyhow::Result<Finding> {
    let rows: Vec<Row> = sqlx::query_as(
        "with there as (select upload_id, count(*) as n from debts group by upload_id),
            refused as (select upload_id, count(*) as n from rejects group by upload_id),
            closed as (select payload->>'upload_id' as upload_id, count(*) as n from gristmill.jobs where name = 'uploads.close' group by 1)
         select u.id, u.filename, u.state, u.reason, u.purged_at is not null as purged, u.rows_dropped_at is not null as dropped,
                array[p.rows_read, p.accepted, p.rejected, p.duplicate, p.conflicting] as rows,
                coalesce(t.n, 0) as there, coalesce(r.n, 0) as rejects,
                -- The only chunk of a small file takes the join upon itself.
                coalesce(c.n, 0) + (g.on_complete is null)::int as closes
         from uploads u join upload_progress p on p.upload_id = u.id join gristmill.groups g on g.id = u.group_id
         left join there t on t.upload_id = u.id left join refused r on r.upload_id = u.id
         left join closed c on c.upload_id = u.id::text order by u.id",
    )
    .fetch_all(pool)
    .await?;
    let sent = lock(&workload.uploads);
    let mut wrong = Vec::new();
    let (mut completed, mut debts, mut failed) = (0, 0, 0);
    for row in &rows {
        let Some(file) = sent.get(&row.filename) else {
            wrong.push(format!("upload {} is of no file that was sent", row.id));
            continue;
        };
        if row.state == "completed" {
            completed += 1;
            debts += row.there;
        } else {
            failed += 1;
        }
        let promised = file.accepted.is_some_and(|(id, _)| id == row.id);
        wrong.extend(judge(row, file, promised).map(|what| format!("upload {} of {}: {what}", row.id, row.filename)));
    }
    let known = |id| rows.iter().any(|row| row.id == id);
    let lost = sent.values().filter_map(|sent| sent.accepted).filter(|(id, _)| !known(*id));
    wrong.extend(lost.map(|(id, _)| format!("upload {id} was accepted and is gone")));
    Ok(Finding {
        promise: "conservation: each upload ends as its file says, and one that failed leaves no row",
        counted: format!("{completed} completed with {debts} rows, {failed} failed"),
        wrong: some(wrong, |what| what),
    })
}

fn judge(row: &Row, file: &SentUpload, promised: bool) -> Option<String> {
    let counts = &file.counts;
    // What is generated under an earlier key is another debt.
    let conflicting = counts.duplicate;
    let expected =
        [counts.read(), counts.accepted, counts.rejected, counts.duplicate, conflicting].map(u64::cast_signed);
    match row.state.as_str() {
        "completed" if !file.stays() => Some("atomic, not clean, and completed".into()),
        "completed" if row.rows != expected => Some(format!("counts {:?} instead of {expected:?}", row.rows)),
        "completed" if row.dropped && row.there > 0 => Some(format!("{} rows that were dropped", row.there)),
        "completed" if !row.dropped && row.there != expected[1] => {
            Some(format!("{} rows instead of {}", row.there, expected[1]))
        }
        "completed" if row.rejects != expected[2] + expected[3] => Some(format!("{} rejects", row.rejects)),
        "completed" if row.closes != 1 => Some(format!("{} joins", row.closes)),
        "completed" => None,
        _ if promised && file.stays() => {
            Some(format!("accepted, and then {} ({})", row.state, row.reason.as_deref().unwrap_or("no reason")))
        }
        "failed" if row.there > 0 => Some(format!("failed, and {} rows are there", row.there)),
        "failed" if !row.purged => Some("failed, and was not purged".into()),
        "failed" => None,
        other => Some(format!("still {other}")),
    }
}

/// The running totals against the chunks.
pub(super) async fn counted(pool: &PgPool) -> anyhow::Result<Finding> {
    let chunks: i64 =
        sqlx::query_scalar("select count(*) from chunks where done_at is not null").fetch_one(pool).await?;
    let wrong: Vec<UploadId> = sqlx::query_scalar(
        "select u.id from uploads u join upload_progress p on p.upload_id = u.id
         left join chunks c on c.upload_id = u.id
         where u.state = 'completed'
         group by u.id, p.upload_id
         having (p.chunks_done, p.rows_read, p.accepted, p.rejected, p.duplicate, p.conflicting) is distinct from
                (count(c.done_at), sum(c.rows_read)::bigint, sum(c.accepted)::bigint, sum(c.rejected)::bigint, sum(c.duplicate)::bigint,
                 sum(c.conflicting)::bigint)
             or count(c.done_at) <> count(c.no)
             or coalesce(u.text_bytes, u.bytes) <> u.header_bytes + sum(c.bytes)",
    )
    .fetch_all(pool)
    .await?;
    Ok(Finding {
        promise: "every upload's totals and bytes are those of its chunks",
        counted: format!("{chunks} chunks"),
        wrong: some(wrong, |id| format!("upload {id} does not add up")),
    })
}
