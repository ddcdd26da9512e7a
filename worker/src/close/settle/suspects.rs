//! Keys that other segments may have, by their filters; and those that they have.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use gristmill_queue::JobError;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sqlx::PgConnection;
use uuid::Uuid;

use super::lost::Lost;
use crate::{
    Env,
    load::{Chunk, on_rayon},
    segments::{
        self, Segment,
        filter::{self, KeyFilter},
        keys::Key,
    },
};

/// Hashes of keys that segments may have.
#[derive(Default)]
pub(super) struct Suspects {
    /// By hash, the segments in which its key may be, in the order in which they were asked.
    of: HashMap<u64, Vec<i32>>,
    segments: Vec<Segment>,
}

impl Suspects {
    /// Asks the filters of these segments.
    pub(super) async fn among(
        env: &Env,
        conn: &mut PgConnection,
        hashes: &Arc<Vec<u64>>,
        segments: impl Iterator<Item = Segment>,
    ) -> Result<Self, JobError> {
        let mut suspects = Self::default();
        for segment in segments {
            // One that is gone has no rows.
            let Some(filter) = env.filters.get(&mut *conn, segment.id).await? else { continue };
            let hashes = hashes.clone();
            for hash in on_rayon(move || may_have(&filter, &hashes)).await? {
                suspects.of.entry(hash).or_default().push(segment.id);
            }
            suspects.segments.push(segment);
        }
        Ok(suspects)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn has(&self, hash: u64) -> bool {
        self.of.contains_key(&hash)
    }

    /// Which of these keys a row has that counts, or that is of an earlier segment of the upload: looked up.
    pub(super) async fn lost(
        &self,
        conn: &mut PgConnection,
        chunk: &Chunk,
        keys: &[Key],
    ) -> Result<Vec<Lost>, JobError> {
        let client_id = chunk.owner.client_id;
        let mut known: HashMap<u128, Segment> = HashMap::new();
        for segment in &self.segments {
            let may =
                |key: &&Key| self.of.get(&filter::hash(client_id, key.key)).is_some_and(|of| of.contains(&segment.id));
            let asked: HashSet<u128> =
                keys.iter().filter(may).map(|key| key.key).filter(|key| !known.contains_key(key)).collect();
            for key in existing(&mut *conn, chunk, *segment, asked.into_iter()).await? {
                known.insert(key.as_u128(), *segment);
            }
        }
        Ok(keys.iter().filter_map(|key| known.get(&key.key).map(|to| Lost { key: *key, to: *to })).collect())
    }
}

fn may_have(filter: &KeyFilter, hashes: &[u64]) -> Vec<u64> {
    hashes.par_iter().copied().filter(|hash| filter.may_have(*hash)).collect()
}

/// Which of these keys the segment has in rows that count, or that are the upload's own.
pub(super) async fn existing(
    conn: &mut PgConnection,
    chunk: &Chunk,
    segment: Segment,
    keys: impl Iterator<Item = u128>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let keys: Vec<Uuid> = keys.map(Uuid::from_u128).collect();
    if keys.is_empty() {
        return Ok(keys);
    }
    let sql = format!(
        "select coalesce(array_agg(k.id), '{{}}') {}
         and (d.upload_id = $3 or exists (select from uploads u where u.id = d.upload_id and u.state = 'completed' offset 0))",
        segments::look_up(segment, "upload_id")
    );
    sqlx::query_scalar(&sql).bind(keys).bind(chunk.owner.client_id).bind(chunk.upload_id).fetch_one(conn).await
}
