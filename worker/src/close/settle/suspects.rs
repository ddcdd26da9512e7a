//! Keys that other segments may have, by their filters; and those that they have.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use gristmill_queue::JobError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::lost::Lost;
use crate::{
    Env,
    load::Chunk,
    segments::{
        self, Sealed, Segment, filter,
        key_sets::{Suspected, suspected},
        keys::Key,
    },
};

/// Hashes of keys that segments may have.
#[derive(Default)]
pub(super) struct Suspects {
    hashes: HashSet<u64>,
    of: Vec<Suspected>,
}

impl Suspects {
    /// Asks what these segments may have of these hashes, which are sorted.
    pub(super) async fn among(
        env: &Env,
        conn: &mut PgConnection,
        hashes: &Arc<Vec<u64>>,
        segments: impl IntoIterator<Item = Sealed>,
    ) -> Result<Self, JobError> {
        let of = suspected(&env.filters, conn, hashes, segments).await?;
        Ok(Self { hashes: of.iter().flat_map(|suspected| &suspected.hashes).copied().collect(), of })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn has(&self, hash: u64) -> bool {
        self.hashes.contains(&hash)
    }

    /// Which of these keys a row has that counts, or that is of an earlier segment of the upload: looked up.
    pub(super) async fn lost(
        &self,
        env: &Env,
        conn: &mut PgConnection,
        chunk: &Chunk,
        keys: &[Key],
    ) -> Result<Vec<Lost>, JobError> {
        let client_id = chunk.owner.client_id;
        let mut by_hash: HashMap<u64, HashSet<u128>> = HashMap::new();
        for key in keys {
            let hash = filter::hash(client_id, key.key);
            if self.has(hash) {
                by_hash.entry(hash).or_default().insert(key.key);
            }
        }
        let mut known: HashMap<u128, Segment> = HashMap::new();
        for suspected in &self.of {
            for (segment, hashes) in suspected.by_segment(&env.filters, &mut *conn).await? {
                let asked = hashes.iter().filter_map(|hash| by_hash.get(hash)).flatten().copied();
                let asked: Vec<u128> = asked.filter(|key| !known.contains_key(key)).collect();
                for key in existing(&mut *conn, chunk, segment, asked.into_iter()).await? {
                    known.insert(key.as_u128(), segment);
                }
            }
        }
        Ok(keys.iter().filter_map(|key| known.get(&key.key).map(|to| Lost { key: *key, to: *to })).collect())
    }
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
