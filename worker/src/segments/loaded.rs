//! The keys of an upload's own segment, as its chunks left them: reading them from its rows takes ten times as long.

use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator};
use sqlx::{PgConnection, PgExecutor};

use super::{CHUNKS, Segment, filter, keys::Key};

/// A key, and how many lines its record is behind the first one.
const BYTES: usize = 16 + 4;

/// Notes the keys of a chunk's rows, or of those of a part of it.
pub(crate) async fn keep(
    on: impl PgExecutor<'_>,
    upload_id: UploadId,
    chunk_no: i32,
    first_line: u64,
    rows: impl Iterator<Item = (u128, u64)>,
) -> Result<(), JobError> {
    let mut keys = Vec::with_capacity(rows.size_hint().0 * BYTES);
    for (key, line) in rows {
        keys.extend_from_slice(&key.to_be_bytes());
        keys.extend_from_slice(&u32::try_from(line - first_line)?.to_be_bytes());
    }
    sqlx::query("insert into loaded_keys (upload_id, chunk_no, first_line, keys) values ($1, $2, $3, $4)")
        .bind(upload_id)
        .bind(chunk_no)
        .bind(first_line.cast_signed())
        .bind(keys)
        .execute(on)
        .await?;
    Ok(())
}

/// Forgets those of an upload.
pub(crate) async fn forget(on: impl PgExecutor<'_>, upload_id: UploadId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from loaded_keys where upload_id = $1").bind(upload_id).execute(on).await.map(drop)
}

/// The keys of a segment's rows, those that have been deleted since among them.
pub(crate) struct LoadedKeys {
    client_id: i32,
    /// First lines, and what is kept behind each.
    chunks: Vec<(i64, Vec<u8>)>,
}

impl LoadedKeys {
    /// Those of an upload's own segment.
    pub(crate) async fn read(conn: &mut PgConnection, segment: Segment, client_id: i32) -> Result<Self, JobError> {
        let chunks: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "select k.first_line, k.keys from row_segments s
             join loaded_keys k on k.upload_id = s.upload_id and k.chunk_no >= s.part * $2 and k.chunk_no < (s.part + 1) * $2
             where s.id = $1",
        )
        .bind(segment.id)
        .bind(CHUNKS)
        .fetch_all(conn)
        .await?;
        if chunks.iter().any(|(_, keys)| keys.len() % BYTES > 0) {
            return Err(JobError::discard(format!("the keys of segment {} are torn", segment.id)));
        }
        Ok(Self { client_id, chunks })
    }

    /// What each of them is in filters.
    pub(crate) fn hashes(&self) -> Vec<u64> {
        self.all().map(|key| filter::hash(self.client_id, key.key)).collect()
    }

    /// Those whose hashes are among some.
    pub(crate) fn among(&self, is_among: impl Fn(u64) -> bool + Sync) -> Vec<Key> {
        self.all().filter(|key| is_among(filter::hash(self.client_id, key.key))).collect()
    }

    fn all(&self) -> impl ParallelIterator<Item = Key> {
        self.chunks.par_iter().flat_map_iter(|(first, keys)| {
            let keys: &[[u8; BYTES]] = keys.as_chunks().0;
            keys.iter().filter_map(|bytes| {
                let (key, line) = bytes.split_first_chunk()?;
                let line = u32::from_be_bytes(line.try_into().ok()?);
                Some(Key { key: u128::from_be_bytes(*key), line: *first + i64::from(line) })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_with_their_lines() {
        let of = |first: i64, rows: &[(u128, u32)]| {
            (
                first,
                rows.iter().flat_map(|(key, line)| [&key.to_be_bytes()[..], &line.to_be_bytes()].concat()).collect(),
            )
        };
        let keys =
            LoadedKeys { client_id: 7, chunks: vec![of(2, &[(5, 1), (u128::MAX, 0)]), of(1 << 40, &[(6, u32::MAX)])] };
        let mut found = keys.among(|hash| hash != filter::hash(7, 5));
        found.sort_unstable();
        let last = (1_i64 << 40) + i64::from(u32::MAX);
        assert_eq!(found, [Key { key: 6, line: last }, Key { key: u128::MAX, line: 2 }]);
        assert_eq!(
            (keys.hashes().len(), keys.among(|hash| hash == filter::hash(7, 5))),
            (3, vec![Key { key: 5, line: 3 }])
        );
    }
}
