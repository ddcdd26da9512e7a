//! How a run's debts are cut into shards: each of one segment, few enough for workers to share a run and to hold the debts of
//! one in memory (some 60 bytes each), and enough for its bills, in the order of their keys, to share pages of an index.

use std::collections::BTreeMap;

use gristmill_billing::jobs::ShardDebts;
use gristmill_uploads::UploadId;
use sqlx::PgConnection;

use super::plan::Candidate;
use crate::segments;

/// Debts of a shard, unless a single chunk has more.
const DEBTS: i64 = 250_000;
/// Small uploads of a shard.
const UPLOADS: usize = 1_000;

/// The shards of these uploads, each with its segment.
pub(super) async fn cut(conn: &mut PgConnection, uploads: &[Candidate]) -> Result<Vec<(i32, ShardDebts)>, sqlx::Error> {
    let mut shards = Vec::new();
    let mut shared: BTreeMap<i32, Vec<&Candidate>> = BTreeMap::new();
    for upload in uploads.iter().filter(|upload| upload.rows > 0) {
        if upload.shares {
            shared.entry(upload.segments[0]).or_default().push(upload);
        } else {
            for (segment, chunks) in chunks(conn, upload.id).await? {
                let lines = by_lines(&chunks);
                shards.extend(lines.into_iter().map(|(from, before)| (segment, ShardDebts::Lines(from, before))));
            }
        }
    }
    for (segment, uploads) in shared {
        let mut rest = uploads.as_slice();
        while let [_, ..] = rest {
            let (these, behind) = rest.split_at(fitting(rest.iter().map(|upload| upload.rows)).min(UPLOADS));
            let ids = these.iter().map(|upload| upload.id.get()).collect();
            shards.push((segment, ShardDebts::Uploads(ids)));
            rest = behind;
        }
    }
    Ok(shards)
}

/// How many of these, from the first on, come to a shard's debts; at least one.
fn fitting(rows: impl Iterator<Item = i64>) -> usize {
    let sums = rows.scan(0, |sum, rows| {
        *sum += rows;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= DEBTS).count().max(1)
}

/// A chunk's first line, the line behind it, and its debts.
type Chunk = (i64, i64, i64);

/// The chunks of an upload by its own segments.
async fn chunks(conn: &mut PgConnection, upload_id: UploadId) -> Result<BTreeMap<i32, Vec<Chunk>>, sqlx::Error> {
    let chunks: Vec<(i32, i64, i64, i64)> = sqlx::query_as(
        "select s.id, c.first_line, coalesce(lead(c.first_line) over (order by c.no), 9223372036854775807), coalesce(c.accepted, 0)
         from chunks c join row_segments s on s.upload_id = c.upload_id and s.part = c.no / $2
         where c.upload_id = $1 order by c.no",
    )
    .bind(upload_id)
    .bind(segments::CHUNKS)
    .fetch_all(conn)
    .await?;
    let mut by_segment: BTreeMap<i32, Vec<Chunk>> = BTreeMap::new();
    for (segment, first, behind, debts) in chunks {
        by_segment.entry(segment).or_default().push((first, behind, debts));
    }
    Ok(by_segment)
}

fn by_lines(chunks: &[Chunk]) -> Vec<(i64, i64)> {
    let mut lines = Vec::new();
    let mut rest = chunks;
    while let [(from, ..), ..] = rest {
        let (these, behind) = rest.split_at(fitting(rest.iter().map(|(_, _, debts)| *debts)));
        lines.push((*from, these[these.len() - 1].1));
        rest = behind;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_until_a_shard_is_full() {
        let chunks = [(2, 10, 200_000), (10, 20, 50_000), (20, 30, 1), (30, 40, 300_000), (40, 50, 1)];
        assert_eq!(by_lines(&chunks), [(2, 20), (20, 30), (30, 40), (40, 50)]);
        assert!(by_lines(&[]).is_empty());
    }
}
