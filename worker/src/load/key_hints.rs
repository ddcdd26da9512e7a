//! Which rows of a chunk may have a key that another chunk of the file has: known before they are loaded, so that only
//! these have to go in one by one.
//!
//! Each chunk tells what its keys hash to before it looks at what the others told. So of two chunks that run at a time at
//! least one knows of the other, and that one waits for it with its suspects alone, at its very end.

use futures::TryStreamExt;
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use sqlx::{PgConnection, PgPool};

use super::{chunk::Chunk, prepare::PreparedChunk};

/// Chunks whose hashes are looked at: those last told. It bounds what a chunk of a very large file reads (some 80 MB);
/// a key that came earlier still is found by the table itself.
const LOOKED_AT: i64 = 256;

/// The rows of a chunk whose key may be taken, by their place in [`PreparedChunk::rows`].
pub(super) struct Suspects {
    hashes: Vec<u32>,
    /// A bit a hash of the chunk, by the hash's first bits: most foreign hashes are none of ours, and this says so fast.
    ours: Vec<u64>,
    suspected: Vec<bool>,
    any: bool,
}

const BITS: u32 = 23;

impl Suspects {
    /// None yet.
    pub(super) fn none(prepared: &PreparedChunk) -> Self {
        let hashes: Vec<u32> = prepared.rows.iter().map(|row| hash(row.key)).collect();
        Self { suspected: vec![false; hashes.len()], hashes, ours: Vec::new(), any: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    pub(super) fn has(&self, row: usize) -> bool {
        self.suspected[row]
    }

    /// Suspects every row.
    pub(super) fn all(&mut self) {
        self.suspected.fill(true);
        self.any = !self.suspected.is_empty();
    }

    /// Tells the other chunks what the keys of this one hash to, and whether one came twice in it. On a connection of its
    /// own, so that it is told at once.
    pub(super) async fn tell(&self, pool: &PgPool, chunk: &Chunk, repeated: bool) -> Result<(), JobError> {
        let hashes: Vec<u8> = self.hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        sqlx::query(
            "insert into chunk_keys (upload_id, no, repeated, hashes) values ($1, $2, $3, $4)
             on conflict (upload_id, no) do update set repeated = chunk_keys.repeated or excluded.repeated",
        )
        .bind(chunk.upload_id)
        .bind(chunk.no)
        .bind(repeated)
        .bind(hashes)
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Whether a key of the file came twice so far.
    pub(super) async fn expected(conn: &mut PgConnection, chunk: &Chunk) -> Result<bool, JobError> {
        Ok(sqlx::query_scalar("select exists (select from chunk_keys where upload_id = $1 and repeated)")
            .bind(chunk.upload_id)
            .fetch_one(conn)
            .await?)
    }

    /// Suspects the rows whose key may be in another chunk that has told its keys.
    pub(super) async fn look(&mut self, conn: &mut PgConnection, chunk: &Chunk) -> Result<(), JobError> {
        self.ours = vec![0; 1 << (BITS - 6)];
        for hash in &self.hashes {
            let bit = hash >> (32 - BITS);
            self.ours[(bit >> 6) as usize] |= 1 << (bit & 63);
        }
        let mut rows: Vec<(u32, u32)> = self.hashes.iter().copied().zip(0..).collect();
        rows.sort_unstable();
        let mut told = sqlx::query_scalar::<_, Vec<u8>>(
            "select hashes from chunk_keys where upload_id = $1 and no <> $2 order by no desc limit $3",
        )
        .bind(chunk.upload_id)
        .bind(chunk.no)
        .bind(LOOKED_AT)
        .fetch(conn);
        while let Some(theirs) = told.try_next().await? {
            self.compare(&rows, &theirs);
        }
        self.ours = Vec::new();
        Ok(())
    }

    fn compare(&mut self, rows: &[(u32, u32)], theirs: &[u8]) {
        for theirs in theirs.as_chunks::<4>().0 {
            let theirs = u32::from_le_bytes(*theirs);
            let bit = theirs >> (32 - BITS);
            if self.ours[(bit >> 6) as usize] & (1 << (bit & 63)) == 0 {
                continue;
            }
            let from = rows.partition_point(|(hash, _)| *hash < theirs);
            for (_, row) in rows[from..].iter().take_while(|(hash, _)| *hash == theirs) {
                self.suspected[*row as usize] = true;
                self.any = true;
            }
        }
    }
}

/// Forgets what an upload's chunks told: it has ended.
pub(crate) async fn forget(on: impl sqlx::PgExecutor<'_>, upload_id: UploadId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from chunk_keys where upload_id = $1").bind(upload_id).execute(on).await.map(drop)
}

/// Keys may be random or in the order of time: every bit counts. The multiplier is 2⁶⁴ divided by the golden ratio
/// (Knuth, The Art of Computer Programming, volume 3, 6.4).
fn hash(key: u128) -> u32 {
    let folded = (key >> 64) as u64 ^ key as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_the_order_of_time_hash_apart() {
        let keys = (0..10_000_u128).map(|n| (0x0193_0000_0000_u128 << 80) | (0x7000 << 64) | n);
        let hashes: std::collections::HashSet<u32> = keys.map(hash).collect();
        assert!(hashes.len() > 9_990, "{}", hashes.len());
    }
}
