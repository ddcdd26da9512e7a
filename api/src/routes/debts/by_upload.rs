//! The rows of one upload, without an index on them.
//!
//! They are behind the block where the table ended when the upload began, but for those that filled gaps. So a page reads
//! from there on, a stretch of blocks after the other, begins at the top when it comes to the end, and stops when it
//! has seen as many rows as the upload has. However large the table is, a page takes a bounded time: when that is over
//! it is as long as it has got.

use std::time::{Duration, Instant};

use gristmill_core::ClientId;
use gristmill_uploads::UploadId;
use sqlx::PgPool;

use super::Row;
use crate::cursor;

/// Blocks of 8 KiB that the first statement of a page reads, and that one reads at most: 64 KiB, 32 MiB.
const MIN_BLOCKS: u32 = 8;
const MAX_BLOCKS: u32 = 4_096;
/// After this long a page is shown as it is.
const PAGE_DEADLINE: Duration = Duration::from_secs(2);

/// Where in the table the next page begins, and how many rows the pages before had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The end of the table is behind us; the blocks before the upload's first one are left.
    wrapped: bool,
    /// The row after this one.
    block: u32,
    row: u16,
    seen: u64,
}

impl From<Place> for cursor::UploadDebts {
    fn from(place: Place) -> Self {
        let parts = [u128::from(place.wrapped) << 112, u128::from(place.block) << 80, u128::from(place.row) << 64];
        Self::of(parts.iter().sum::<u128>() + u128::from(place.seen))
    }
}

impl From<cursor::UploadDebts> for Place {
    fn from(cursor: cursor::UploadDebts) -> Self {
        let number = cursor.number();
        Self {
            wrapped: number >> 112 & 1 == 1,
            block: (number >> 80) as u32,
            row: (number >> 64) as u16,
            seen: number as u64,
        }
    }
}

#[derive(sqlx::FromRow)]
struct BlockScan {
    block: i64,
    row: i32,
    #[sqlx(flatten)]
    debt: Row,
}

/// Up to `limit` rows of a completed upload, and where the next page begins unless there is none.
pub(super) async fn page(
    pool: &PgPool,
    client_id: ClientId,
    upload_id: UploadId,
    after: Option<Place>,
    limit: u32,
) -> sqlx::Result<(Vec<Row>, Option<Place>)> {
    let begun = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    let Some((first_block, blocks, accepted)) = extent(pool, client_id, upload_id).await? else {
        return Ok((rows, None));
    };
    let mut blocks_at_once = MIN_BLOCKS;
    let mut place = after.unwrap_or(Place { wrapped: false, block: first_block, row: 0, seen: 0 });
    while place.seen < accepted {
        let end = if place.wrapped { first_block } else { blocks };
        if place.block >= end {
            if place.wrapped {
                break;
            }
            place = Place { wrapped: true, block: 0, row: 0, ..place };
            continue;
        }
        let until = end.min(place.block.saturating_add(blocks_at_once));
        // Where the rows stand together the first stretches fill the page; where they do not, far ones find them.
        blocks_at_once = MAX_BLOCKS.min(blocks_at_once * 2);
        let wanted = limit as usize - rows.len();
        let found = stretch(pool, upload_id, place, until, wanted).await?;
        place.seen += found.len() as u64;
        (place.block, place.row) = match found.last() {
            Some(last) if found.len() == wanted => (last.block as u32, last.row as u16),
            _ => (until, 0),
        };
        rows.extend(found.into_iter().map(|found| found.debt));
        if place.seen < accepted && (rows.len() == limit as usize || begun.elapsed() > PAGE_DEADLINE) {
            return Ok((rows, Some(place)));
        }
    }
    Ok((rows, None))
}

/// The first block that the upload's rows may be in, how many the table has, and how many rows there are to be found;
/// none when they do not count.
async fn extent(pool: &PgPool, client_id: ClientId, upload_id: UploadId) -> sqlx::Result<Option<(u32, u32, u64)>> {
    let extent: Option<(i64, i64, i64)> = sqlx::query_as(
        "select u.first_block, pg_relation_size('debts') / current_setting('block_size')::bigint, p.accepted
         from uploads u join upload_progress p on p.upload_id = u.id
         where u.id = $1 and u.client_id = $2 and u.state = 'completed'",
    )
    .bind(upload_id)
    .bind(client_id)
    .fetch_optional(pool)
    .await?;
    // A table has fewer than 2^32 blocks.
    let block = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(extent.map(|(first, blocks, accepted)| (block(first), block(blocks), accepted.unsigned_abs())))
}

/// The upload's rows after `from` and before the block `until`, in the table's order.
async fn stretch(
    pool: &PgPool,
    upload_id: UploadId,
    from: Place,
    until: u32,
    limit: usize,
) -> sqlx::Result<Vec<BlockScan>> {
    sqlx::query_as(
        // A place in a table is written like a point.
        "select (ctid::text::point)[0]::bigint as block, (ctid::text::point)[1]::int as row,
                debt_id, upload_id, line, name, government_id, email, amount_minor,
                to_char(due_date, 'YYYY-MM-DD') as due_date
         from debts where upload_id = $1 and ctid > $2::text::tid and ctid < $3::text::tid
         order by ctid limit $4",
    )
    .bind(upload_id)
    .bind(format!("({},{})", from.block, from.row))
    .bind(format!("({until},0)"))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_went() {
        let place = Place { wrapped: true, block: u32::MAX, row: u16::MAX, seen: u64::MAX };
        for place in [place, Place { wrapped: false, block: 7, row: 2, seen: 3 }] {
            let cursor = cursor::UploadDebts::from(place).to_string();
            assert_eq!(Place::from(cursor.parse::<cursor::UploadDebts>().unwrap()), place);
        }
    }
}
