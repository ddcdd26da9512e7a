//! The rows that have the keys which others lost: whose they are, and what they say.

use std::collections::BTreeSet;

use gristmill_pipelines::Kind;
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{
    PgConnection, Row,
    postgres::{PgRow, PgValueRef},
};
use uuid::Uuid;

use super::chunk::Chunk;
use crate::segments::{self, Segment};

/// A row that may have lost its key.
#[derive(Clone, Copy)]
pub(crate) struct Loser<'t> {
    pub(crate) key: Uuid,
    pub(crate) tuple: &'t [u8],
}

/// The row that has a loser's key.
pub(crate) struct Winner {
    /// The loser's place among those asked for.
    pub(crate) loser: usize,
    pub(crate) upload_id: UploadId,
    pub(crate) line: i64,
    /// What it says otherwise than the loser, if it does.
    pub(crate) differs: Option<Differs>,
}

/// A row that says something else than another one of its key.
pub(crate) struct Differs {
    /// In which columns, by the file's names for them.
    pub(crate) columns: Vec<&'static str>,
    /// What it says in all that are compared.
    said: Vec<Option<Vec<u8>>>,
}

impl Differs {
    /// In which columns a third row of the key says something else.
    pub(super) fn differs_from(&self, kind: Kind, tuple: &[u8]) -> Vec<&'static str> {
        kind.differs(kind.table().said(tuple), self.said.iter().map(Option::as_deref))
    }
}

/// Which rows of a segment have the losers' keys, in the losers' order: rows that count, or of the same upload. A key that
/// none of them has is passed over.
pub(crate) async fn find_winners(
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    losers: &[Loser<'_>],
) -> Result<Vec<Winner>, JobError> {
    let keys: Vec<Uuid> = losers.iter().map(|loser| loser.key).collect();
    let look_up = look_up(chunk.kind, segment);
    let found = sqlx::query(&look_up).bind(&keys).bind(chunk.owner.client_id).fetch_one(&mut *conn).await?;
    let mut winners = compare(chunk.kind, losers, &found)?;
    let distinct: Vec<UploadId> =
        winners.iter().map(|winner| winner.upload_id).collect::<BTreeSet<_>>().into_iter().collect();
    let count: Vec<UploadId> =
        sqlx::query_scalar("select id from uploads where id = any($1) and (state = 'completed' or id = $2)")
            .bind(&distinct)
            .bind(chunk.upload_id)
            .fetch_all(conn)
            .await?;
    winners.retain(|winner| count.contains(&winner.upload_id));
    winners.sort_unstable_by_key(|winner| winner.loser);
    Ok(winners)
}

/// The losers' places, the winners' uploads and lines, then what they say, column by column.
fn look_up(kind: Kind, segment: Segment) -> String {
    let said: Vec<&str> = kind.table().said.iter().map(|(column, _)| *column).collect();
    let arrays: Vec<String> = said.iter().map(|column| format!(", array_agg(d.{column})")).collect();
    // One row of arrays, because a row a key costs more than its look-up.
    format!(
        "select coalesce(array_agg(k.place), '{{}}'), coalesce(array_agg(d.upload_id), '{{}}'),
                coalesce(array_agg(d.line), '{{}}'){} {}",
        arrays.concat(),
        segments::look_up(segment, &format!("upload_id, line, {}", said.join(", ")))
    )
}

/// The winners as they were found, each beside its loser.
fn compare(kind: Kind, losers: &[Loser<'_>], found: &PgRow) -> Result<Vec<Winner>, JobError> {
    let (places, uploads): (Vec<i64>, Vec<UploadId>) = (found.try_get(0)?, found.try_get(1)?);
    let lines: Vec<i64> = found.try_get(2)?;
    let mut said = Vec::with_capacity(kind.table().said.len());
    for n in 0..kind.table().said.len() {
        let column = elements(&found.try_get_raw(n + 3)?)?;
        if column.len() != places.len() {
            return Err(JobError::Retry("a column of the rows that won is not as long as the others".into()));
        }
        said.push(column);
    }
    let mut winners = Vec::with_capacity(places.len());
    for (n, ((place, upload_id), line)) in places.into_iter().zip(uploads).zip(lines).enumerate() {
        let loser = usize::try_from(place)? - 1;
        let says = || said.iter().map(|column| column[n]);
        let columns = kind.differs(kind.table().said(losers[loser].tuple), says());
        let differs = (!columns.is_empty())
            .then(|| Differs { columns, said: says().map(|field| field.map(<[u8]>::to_vec)).collect() });
        winners.push(Winner { loser, upload_id, line, differs });
    }
    Ok(winners)
}

/// The elements of an array of one dimension as Postgres sends them, which is as a tuple has them: `None` is null. (As
/// bytes, because they are only compared.)
fn elements<'r>(array: &PgValueRef<'r>) -> Result<Vec<Option<&'r [u8]>>, sqlx::Error> {
    /// Dimensions, whether there are nulls, the elements' type; then the dimension's length and its first index.
    const HEAD: usize = 5 * 4;
    let cut = || sqlx::Error::Decode("an array ends too early".into());
    if sqlx::ValueRef::is_null(array) {
        return Ok(Vec::new());
    }
    let mut rest = array.as_bytes().map_err(sqlx::Error::Decode)?.get(HEAD..).ok_or_else(cut)?;
    let mut elements = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = i32::from_be_bytes(*length);
        let (element, behind) = behind.split_at_checked(usize::try_from(length).unwrap_or(0)).ok_or_else(cut)?;
        elements.push((length >= 0).then_some(element));
        rest = behind;
    }
    Ok(elements)
}
