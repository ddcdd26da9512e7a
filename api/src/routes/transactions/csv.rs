use bytes::Bytes;
use futures::{Stream, stream};
use gristmill_core::ClientId;
use gristmill_normalization::transactions::{self, Transaction};
use gristmill_pipelines::decimal;
use gristmill_uploads::UploadId;
use sqlx::PgPool;

/// Rows read at a time: the file is never held.
const PAGE: usize = 5_000;

const HEADER: &str = "line,date,description,amount,currency,id,merchant,matched,score,mcc,wikidata_id\n";

/// All transactions of an upload as a CSV file in the order of its own, page by page as it is read.
pub(super) fn file(
    pool: PgPool,
    client_id: ClientId,
    upload_id: UploadId,
) -> impl Stream<Item = Result<Bytes, sqlx::Error>> + use<> {
    stream::try_unfold((Some(0), HEADER.to_owned()), move |(after, mut text)| {
        let pool = pool.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let rows =
                transactions::page(&pool, client_id, upload_id.get(), after, PAGE).await.inspect_err(|error| {
                    // The answer has begun: all that is left is to break it off, and the client sees that.
                    tracing::error!(%upload_id, %error, "transactions broken off");
                })?;
            rows.iter().for_each(|row| push(&mut text, row));
            let next = rows.last().filter(|_| rows.len() == PAGE).map(|last| last.line);
            Ok(Some((Bytes::from(text), (next, String::new()))))
        }
    })
}

fn push(text: &mut String, row: &Transaction) {
    let amount = decimal(row.amount_minor);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
    let fields = [
        row.line.to_string(),
        row.date.to_jiff().to_string(),
        row.description.clone(),
        amount,
        or_none(&row.currency),
        or_none(&row.id),
        row.answer.merchant.clone().unwrap_or_else(|| "n/a".to_owned()),
        or_none(&row.answer.matched),
        row.answer.score.map(|score| score.to_string()).unwrap_or_default(),
        or_none(&row.answer.mcc),
        or_none(&row.answer.wikidata),
    ];
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(field);
        }
    }
    text.push('\n');
}
