//! Filters and runs in memory: those asked for last, up to so many bytes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gristmill_queue::JobError;
use sqlx::PgExecutor;

use super::{filter::KeyFilter, run::RunPart};

/// What says which keys segments may have, read when it is asked for.
#[derive(Clone)]
pub struct KeyFilters(Arc<Mutex<Cache>>);

struct Cache {
    max_bytes: usize,
    bytes: usize,
    turn: u64,
    kept: HashMap<Id, (u64, Kept)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Id {
    Segment(i32),
    Part { run: i32, part: u32 },
}

#[derive(Clone)]
enum Kept {
    Filter(Arc<KeyFilter>),
    Part(Arc<RunPart>),
}

impl KeyFilters {
    /// Keeps at most so many bytes of them.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Cache { max_bytes, bytes: 0, turn: 0, kept: HashMap::new() })))
    }

    /// The filter of a sealed segment; `None`: the segment is gone, with its rows, or has none.
    pub(crate) async fn filter(
        &self,
        on: impl PgExecutor<'_>,
        segment: i32,
    ) -> Result<Option<Arc<KeyFilter>>, JobError> {
        let id = Id::Segment(segment);
        if let Some(Kept::Filter(filter)) = self.cache().get(id) {
            return Ok(Some(filter));
        }
        let found: Option<Option<Vec<u8>>> = sqlx::query_scalar("select key_filter from row_segments where id = $1")
            .bind(segment)
            .fetch_optional(on)
            .await?;
        let Some(bytes) = found.flatten() else { return Ok(None) };
        let filter = KeyFilter::from_bytes(&bytes)
            .ok_or_else(|| JobError::discard(format!("the filter of segment {segment} is not one")))?;
        let filter = Arc::new(filter);
        self.cache().put(id, Kept::Filter(filter.clone()));
        Ok(Some(filter))
    }

    /// A part of a run; `None`: the run is gone, as a larger one has its keys.
    pub(crate) async fn part(
        &self,
        on: impl PgExecutor<'_>,
        run: i32,
        part: u32,
    ) -> Result<Option<Arc<RunPart>>, JobError> {
        let id = Id::Part { run, part };
        if let Some(Kept::Part(part)) = self.cache().get(id) {
            return Ok(Some(part));
        }
        let Some(found) = read_part(on, run, part).await? else { return Ok(None) };
        let found = Arc::new(found);
        self.cache().put(id, Kept::Part(found.clone()));
        Ok(Some(found))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a run, past the cache; `None`: the run is gone.
pub(crate) async fn read_part(on: impl PgExecutor<'_>, run: i32, part: u32) -> Result<Option<RunPart>, JobError> {
    let found: Option<Vec<u8>> = sqlx::query_scalar("select keys from key_run_parts where run_id = $1 and part = $2")
        .bind(run)
        .bind(part.cast_signed())
        .fetch_optional(on)
        .await?;
    let read = |bytes: Vec<u8>| {
        RunPart::from_bytes(&bytes)
            .ok_or_else(|| JobError::discard(format!("part {part} of the run {run} of keys is not one")))
    };
    found.map(read).transpose()
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Filter(filter) => filter.bytes(),
            Self::Part(part) => part.bytes(),
        }
    }
}

impl Cache {
    fn get(&mut self, id: Id) -> Option<Kept> {
        self.turn += 1;
        let (turn, kept) = self.kept.get_mut(&id)?;
        *turn = self.turn;
        Some(kept.clone())
    }

    fn put(&mut self, id: Id, kept: Kept) {
        self.bytes += kept.bytes();
        if let Some((_, before)) = self.kept.insert(id, (self.turn, kept)) {
            self.bytes -= before.bytes();
        }
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, (turn, _))| *turn).map(|(id, _)| *id) else {
                return;
            };
            if let Some((_, kept)) = self.kept.remove(&oldest) {
                self.bytes -= kept.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_asked_for_longest_ago_goes_first() {
        let kept = || Kept::Part(Arc::new(RunPart::of(&[1, 2, 3], 0, 1).unwrap()));
        let bytes = kept().bytes();
        let mut cache = Cache { max_bytes: 2 * bytes, bytes: 0, turn: 0, kept: HashMap::new() };
        let part = |part| Id::Part { run: 1, part };
        for id in [Id::Segment(1), part(1)] {
            cache.put(id, kept());
        }
        assert!(cache.get(Id::Segment(1)).is_some());
        cache.put(part(2), kept());
        assert!(cache.get(part(1)).is_none() && cache.get(Id::Segment(1)).is_some() && cache.get(part(2)).is_some());
        assert_eq!(cache.bytes, 2 * bytes);
    }
}
