//! Which keys sealed segments may have, asked for in as few questions as possible: a run answers for all of its segments.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use gristmill_queue::JobError;
use sqlx::PgConnection;

use super::{
    Sealed, Segment,
    cache::KeyFilters,
    filter::KeyFilter,
    run::{self, RunPart},
};

/// Keys that all segments of a run are asked for, without a look at the filter of each: a run errs as seldom.
const FEW: usize = 16;

/// Segments whose keys are asked for together.
#[derive(Clone)]
pub(crate) struct KeySet {
    pub(crate) segments: Arc<[Segment]>,
    keys: Keys,
}

#[derive(Clone)]
enum Keys {
    Filter(Arc<KeyFilter>),
    Part { keys: Arc<RunPart>, part: u32, parts: u32 },
}

impl KeySet {
    /// `false`: none of the segments has such a key, or another set of them has.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        match &self.keys {
            Keys::Filter(filter) => filter.may_have(hash),
            Keys::Part { keys, part, parts } => {
                let prefix = run::prefix(hash);
                run::part_of(prefix, *parts) == *part && keys.may_have(prefix)
            }
        }
    }
}

/// The sets of some segments, one after the other: no more than one of them need be in memory.
pub(crate) struct KeySets<'a> {
    filters: &'a KeyFilters,
    left: VecDeque<Question>,
}

enum Question {
    Segment(Segment),
    Part { run: i32, part: u32, parts: u32, segments: Arc<[Segment]> },
}

impl<'a> KeySets<'a> {
    pub(crate) fn of(filters: &'a KeyFilters, sealed: impl IntoIterator<Item = Sealed>) -> Self {
        let mut runs: BTreeMap<(i32, u32), Vec<Segment>> = BTreeMap::new();
        let mut left = VecDeque::new();
        for Sealed { segment, run } in sealed {
            match run {
                Some(run) => runs.entry(run).or_default().push(segment),
                None => left.push_back(Question::Segment(segment)),
            }
        }
        for ((run, parts), segments) in runs {
            let segments: Arc<[Segment]> = segments.into();
            left.extend((0..parts).map(|part| Question::Part { run, part, parts, segments: segments.clone() }));
        }
        Self { filters, left }
    }

    /// The next one.
    pub(crate) async fn next(&mut self, conn: &mut PgConnection) -> Result<Option<KeySet>, JobError> {
        while let Some(question) = self.left.pop_front() {
            match question {
                // One that is gone has no rows.
                Question::Segment(segment) => {
                    if let Some(filter) = self.filters.filter(&mut *conn, segment.id).await? {
                        return Ok(Some(KeySet { segments: [segment].into(), keys: Keys::Filter(filter) }));
                    }
                }
                Question::Part { run, part, parts, segments } => {
                    if let Some(keys) = self.filters.part(&mut *conn, run, part).await? {
                        return Ok(Some(KeySet { segments, keys: Keys::Part { keys, part, parts } }));
                    }
                    // It is part of a larger one by now, which these segments can do without.
                    self.left.retain(|left| !matches!(left, Question::Part { run: of, .. } if *of == run));
                    self.left.extend(segments.iter().copied().map(Question::Segment));
                }
            }
        }
        Ok(None)
    }
}

/// Which of these keys, by the places of their hashes, are to be looked up in each of a set's segments.
pub(crate) async fn by_segment(
    filters: &KeyFilters,
    conn: &mut PgConnection,
    segments: &[Segment],
    hashes: &[u64],
) -> Result<Vec<(Segment, Vec<usize>)>, JobError> {
    let all = || (0..hashes.len()).collect();
    if segments.len() == 1 || hashes.len() <= FEW {
        return Ok(segments.iter().map(|segment| (*segment, all())).collect());
    }
    let mut asked = Vec::with_capacity(segments.len());
    for segment in segments {
        let Some(filter) = filters.filter(&mut *conn, segment.id).await? else { continue };
        let places = hashes.iter().enumerate().filter(|(_, hash)| filter.may_have(**hash)).map(|(place, _)| place);
        asked.push((*segment, places.collect()));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use gristmill_pipelines::Kind;

    use super::{super::filter::hash, *};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_segments_of_a_run_that_was_merged_are_asked_one_by_one() {
        let stack = gristmill_platform::testing::stack().await;
        let mut conn = stack.pool.acquire().await.unwrap();
        let mut sealed = Vec::new();
        for key in 0..3 {
            let filter = KeyFilter::of(&[hash(7, key)]).unwrap().to_bytes();
            let insert = "insert into row_segments (table_name, client_id, part, state, key_filter)
                          values ('debts', 7, $1, 'sealed', $2) returning id";
            let inserted = sqlx::query_scalar(insert).bind(key as i32).bind(filter);
            let id: i32 = inserted.fetch_one(&mut *conn).await.unwrap();
            let segment = Segment { table: Kind::Debts.table(), id, is_own: true };
            sealed.push(Sealed { segment, run: Some((i32::MAX, 4)) });
        }
        let filters = KeyFilters::new(1 << 20);
        let mut sets = KeySets::of(&filters, sealed.iter().copied());
        for (key, sealed) in (0..3).zip(&sealed) {
            let set = sets.next(&mut conn).await.unwrap().unwrap();
            assert_eq!(*set.segments, [sealed.segment]);
            assert!(set.may_have(hash(7, key)) && !set.may_have(hash(7, key + 1)));
        }
        assert!(sets.next(&mut conn).await.unwrap().is_none());
    }
}
