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
        self, Sealed, Segment, filter,
        key_sets::{KeySet, KeySets, by_segment},
        keys::Key,
    },
};

/// Hashes of keys that segments may have.
#[derive(Default)]
pub(super) struct Suspects {
    /// By hash, in which of the sets its key may be.
    of: HashMap<u64, Vec<u32>>,
    /// Segments that were asked for together.
    sets: Vec<Arc<[Segment]>>,
}

impl Suspects {
    /// Asks what these segments may have.
    pub(super) async fn among(
        env: &Env,
        conn: &mut PgConnection,
        hashes: &Arc<Vec<u64>>,
        segments: impl IntoIterator<Item = Sealed>,
    ) -> Result<Self, JobError> {
        let mut suspects = Self::default();
        let mut sets = KeySets::of(&env.filters, segments);
        while let Some(set) = sets.next(&mut *conn).await? {
            let (hashes, segments) = (hashes.clone(), set.segments.clone());
            let found = on_rayon(move || may_have(&set, &hashes)).await?;
            if !found.is_empty() {
                let number = u32::try_from(suspects.sets.len())?;
                suspects.sets.push(segments);
                found.into_iter().for_each(|hash| suspects.of.entry(hash).or_default().push(number));
            }
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
        env: &Env,
        conn: &mut PgConnection,
        chunk: &Chunk,
        keys: &[Key],
    ) -> Result<Vec<Lost>, JobError> {
        let client_id = chunk.owner.client_id;
        let mut known: HashMap<u128, Segment> = HashMap::new();
        for (number, segments) in (0..).zip(&self.sets) {
            let may = |(hash, _): &(u64, u128)| self.of.get(hash).is_some_and(|of| of.contains(&number));
            let asked: HashSet<(u64, u128)> =
                keys.iter().map(|key| (filter::hash(client_id, key.key), key.key)).filter(may).collect();
            let (hashes, asked): (Vec<u64>, Vec<u128>) = asked.into_iter().unzip();
            for (segment, places) in by_segment(&env.filters, &mut *conn, segments, &hashes).await? {
                let asked = places.into_iter().map(|place| asked[place]).filter(|key| !known.contains_key(key));
                let asked: Vec<u128> = asked.collect();
                for key in existing(&mut *conn, chunk, segment, asked.into_iter()).await? {
                    known.insert(key.as_u128(), segment);
                }
            }
        }
        Ok(keys.iter().filter_map(|key| known.get(&key.key).map(|to| Lost { key: *key, to: *to })).collect())
    }
}

fn may_have(set: &KeySet, hashes: &[u64]) -> Vec<u64> {
    hashes.par_iter().copied().filter(|hash| set.may_have(*hash)).collect()
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
