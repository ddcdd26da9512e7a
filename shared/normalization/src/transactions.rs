//! Transactions of files, each with its merchant, in the order of their file.

use gristmill_core::ClientId;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::Answer;

/// A transaction of a file.
#[derive(Debug, Clone, FromRow)]
pub struct Transaction {
    /// The client's own id, where the file has one.
    pub id: Option<String>,
    /// The file.
    pub upload_id: Uuid,
    /// Its line there.
    pub line: i64,
    /// Its day.
    pub date: jiff_sqlx::Date,
    /// As the statement shows it.
    pub description: String,
    /// In hundredths.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: Option<String>,
    /// What was found, without its category.
    #[sqlx(flatten)]
    pub answer: Answer,
}

/// Rows of `file_order` that are looked through at once; each has up to a thousand lines.
const PIECES: i64 = 6;

/// A client's transactions of one upload, behind a line, in the order of the file.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn page(
    pool: &PgPool,
    client_id: ClientId,
    upload_id: Uuid,
    after: i64,
    limit: usize,
) -> Result<Vec<Transaction>, sqlx::Error> {
    let (mut page, mut after) = (Vec::new(), after);
    while page.len() < limit {
        let pieces: Vec<i64> = sqlx::query_scalar(
            "select last_line from file_order where upload_id = $1 and last_line > $2 order by last_line limit $3",
        )
        .bind(upload_id)
        .bind(after)
        .bind(PIECES)
        .fetch_all(pool)
        .await?;
        let Some(last) = pieces.last() else { break };
        page.extend(between(pool, client_id, upload_id, (after, *last), limit - page.len()).await?);
        after = *last;
    }
    Ok(page)
}

async fn between(
    pool: &PgPool,
    client_id: ClientId,
    upload_id: Uuid,
    (after, until): (i64, i64),
    limit: usize,
) -> Result<Vec<Transaction>, sqlx::Error> {
    // The `offset` makes it one look into the key's index for each row, however large the table is.
    sqlx::query_as(
        "select t.id, t.upload_id, t.line, t.date, t.description, t.amount_minor, t.currency, t.merchant, t.matched,
                t.rule_id, t.score, t.mcc, null as category, t.wikidata
         from file_order o
         cross join lateral unnest(o.lines, o.keys) as i (line, key)
         cross join lateral (
             select * from transactions where transaction_id = i.key and client_id = (select $1::int) offset 0
         ) t
         where o.upload_id = $2 and o.last_line > $3 and o.last_line <= $4 and i.line > $3
           and t.upload_id = $2 and t.line = i.line
         order by i.line limit $5",
    )
    .bind(client_id)
    .bind(upload_id)
    .bind(after)
    .bind(until)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
}
