//! Why an upload's rows were not taken: of all of them, not of a sample.

use gristmill_uploads::{State, Upload, read::Fault};
use sqlx::{PgPool, types::Json};

/// So many bytes of a record are shown.
const SHOWN: i32 = 120;
/// So many rejects are looked through for an example of a duplicate.
const LOOKED_AT: i64 = 20_000;

/// Why records were not taken, with an example.
#[derive(sqlx::FromRow)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) n: i64,
    pub(super) line: Option<i64>,
    /// As it came: any bytes.
    example: Option<Vec<u8>>,
    /// What is said of the example; nothing of a duplicate.
    message: Option<String>,
    other_faults: Option<Json<Vec<Fault>>>,
}

impl Reason {
    pub(super) fn example(&self) -> String {
        self.example.as_deref().map(|raw| String::from_utf8_lossy(raw).into_owned()).unwrap_or_default()
    }

    /// All that is wrong with the example, one by one.
    pub(super) fn faults(&self) -> impl Iterator<Item = &str> {
        let others = self.other_faults.iter().flat_map(|Json(others)| others);
        self.message.as_deref().into_iter().chain(others.map(|fault| fault.message.as_str()))
    }
}

/// The most frequent one first; they add up to what was rejected and what was duplicate. None of what went with its rejects.
pub(super) async fn of(pool: &PgPool, upload: &Upload) -> Result<Vec<Reason>, sqlx::Error> {
    // Only those of an all-or-nothing file stay when its rows go.
    let kept = matches!(upload.state, State::Receiving | State::Processing | State::Completed);
    if !kept && upload.reason.as_deref() != Some("rejected_rows") {
        return Ok(Vec::new());
    }
    let mut reasons: Vec<Reason> = sqlx::query_as(
        "select c.code, c.n, c.line, substring(r.raw from 1 for $2) as example, r.message, r.other_faults
         from (select code, sum(n)::bigint as n, min(first_line) as line
               from chunk_reasons where upload_id = $1 group by code) c
         left join rejects r on r.upload_id = $1 and r.line = c.line",
    )
    .bind(upload.id)
    .bind(SHOWN)
    .fetch_all(pool)
    .await?;
    let counted: i64 = reasons.iter().map(|reason| reason.n).sum();
    // Of a time when chunks did not count them.
    if upload.state.is_final() && counted != upload.rows.rejected {
        reasons = counted_anew(pool, upload).await?;
    }
    let conflicting = upload.rows.conflicting_duplicate;
    for (n, code, differs) in
        [(upload.rows.duplicate - conflicting, "duplicate", false), (conflicting, "conflicting_duplicate", true)]
    {
        if n > 0 {
            let (line, example) = duplicate(pool, upload, differs).await?.unzip();
            reasons.push(Reason { code: code.to_owned(), n, line, example, message: None, other_faults: None });
        }
    }
    reasons.sort_by(|one, other| other.n.cmp(&one.n).then_with(|| one.code.cmp(&other.code)));
    Ok(reasons)
}

async fn counted_anew(pool: &PgPool, upload: &Upload) -> Result<Vec<Reason>, sqlx::Error> {
    sqlx::query_as(
        "select c.code, c.n, c.line, substring(r.raw from 1 for $2) as example, r.message, r.other_faults
         from (select code, count(*) as n, min(line) as line
               from rejects where upload_id = $1 and code <> 'duplicate' group by code) c
         left join rejects r on r.upload_id = $1 and r.line = c.line",
    )
    .bind(upload.id)
    .bind(SHOWN)
    .fetch_all(pool)
    .await
}

/// The line and the text of a duplicate that differs from the row that counts, or of one that does not.
async fn duplicate(pool: &PgPool, upload: &Upload, differs: bool) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as(
        "select line, substring(raw from 1 for $2)
         from (select line, code, raw, differs from rejects where upload_id = $1 order by line limit $3) r
         where code = 'duplicate' and (coalesce(cardinality(differs), 0) > 0) = $4
         order by line limit 1",
    )
    .bind(upload.id)
    .bind(SHOWN)
    .bind(LOOKED_AT)
    .bind(differs)
    .fetch_optional(pool)
    .await
}
