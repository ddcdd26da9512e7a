//! Which keys sealed segments may have, asked for in as few questions as possible: a run answers for all of its segments.

use std::{collections::BTreeMap, sync::Arc};

use gristmill_queue::JobError;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sqlx::PgConnection;

use super::{Sealed, Segment, cache::KeyFilters, run};
use crate::load::on_rayon;

/// Keys that all segments of a run are asked for, without a look at the filter of each. What a run takes for another key is fewer.
const FEW: usize = 256;

/// Hashes that some segments may have, which were asked for together.
pub(crate) struct Suspected {
    pub(crate) segments: Vec<Segment>,
    /// Sorted.
    pub(crate) hashes: Vec<u64>,
}

/// Which of these hashes, which are sorted, sealed segments may have. No more than a filter, or a part of a run in which one of the
/// hashes falls, is held at a time.
pub(crate) async fn suspected(
    filters: &KeyFilters,
    conn: &mut PgConnection,
    hashes: &Arc<Vec<u64>>,
    sealed: impl IntoIterator<Item = Sealed>,
) -> Result<Vec<Suspected>, JobError> {
    let mut runs: BTreeMap<(i32, u32), Vec<Segment>> = BTreeMap::new();
    let mut single = Vec::new();
    for Sealed { segment, run } in sealed {
        match run {
            Some(run) => runs.entry(run).or_default().push(segment),
            None => single.push(segment),
        }
    }
    let mut all = Vec::new();
    for ((run, parts), segments) in runs {
        // Of few of a large run's segments the filters are smaller.
        let of_run = match segments.len() < 2 * parts as usize {
            true => None,
            false => by_run(filters, &mut *conn, hashes, (run, parts)).await?,
        };
        match of_run {
            Some(hashes) => all.push(Suspected { segments, hashes }),
            // Or it is part of a larger one by now, which these segments can do without.
            None => single.extend(segments),
        }
    }
    for segment in single {
        // One that is gone has no rows.
        let Some(filter) = filters.filter(&mut *conn, segment.id).await? else { continue };
        let hashes = hashes.clone();
        let found = move || hashes.par_iter().copied().filter(|hash| filter.may_have(*hash)).collect();
        all.push(Suspected { segments: vec![segment], hashes: on_rayon(found).await? });
    }
    all.retain(|suspected| !suspected.hashes.is_empty());
    Ok(all)
}

/// Which of them a run may have; `None`: it is gone.
async fn by_run(
    filters: &KeyFilters,
    conn: &mut PgConnection,
    hashes: &Arc<Vec<u64>>,
    (run, parts): (i32, u32),
) -> Result<Option<Vec<u64>>, JobError> {
    let part_of = |hash: &u64| run::part_of(run::prefix(*hash), parts);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(part) = hashes.get(from).map(part_of) {
        let to = from + hashes[from..].partition_point(|hash| part_of(hash) == part);
        let Some(keys) = filters.part(&mut *conn, run, part).await? else { return Ok(None) };
        let hashes = hashes.clone();
        let of_part: Vec<u64> = on_rayon(move || {
            hashes[from..to].par_iter().copied().filter(|hash| keys.may_have(run::prefix(*hash))).collect()
        })
        .await?;
        found.extend(of_part);
        from = to;
    }
    Ok(Some(found))
}

impl Suspected {
    /// Which of the hashes are to be looked up in each of the segments.
    pub(crate) async fn by_segment(
        &self,
        filters: &KeyFilters,
        conn: &mut PgConnection,
    ) -> Result<Vec<(Segment, Vec<u64>)>, JobError> {
        if self.segments.len() == 1 || self.hashes.len() <= FEW {
            return Ok(self.segments.iter().map(|segment| (*segment, self.hashes.clone())).collect());
        }
        let mut asked = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            let Some(filter) = filters.filter(&mut *conn, segment.id).await? else { continue };
            asked.push((*segment, self.hashes.iter().copied().filter(|hash| filter.may_have(*hash)).collect()));
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use gristmill_pipelines::Kind;

    use super::{
        super::filter::{KeyFilter, hash},
        *,
    };

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
            sealed.push(Sealed { segment, run: Some((i32::MAX, 1)) });
        }
        let mut hashes: Vec<u64> = (0..20).map(|key| hash(7, key)).collect();
        hashes.sort_unstable();
        let filters = KeyFilters::new(1 << 20);
        let found = suspected(&filters, &mut conn, &Arc::new(hashes), sealed.iter().copied()).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|found| (found.segments, found.hashes)).collect();
        let due: Vec<_> = (0..).zip(&sealed).map(|(key, sealed)| (vec![sealed.segment], vec![hash(7, key)])).collect();
        assert_eq!(found, due);
    }
}
