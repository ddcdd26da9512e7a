//! Deliveries that ended without success: they decide when a job runs alone, and when it is a dead letter.

/// The deliveries of a job that ended without success: the number of each, and how it ended. See
/// `redis/scripts/queue.lua`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedDeliveries(Vec<(u64, char)>);

impl FailedDeliveries {
    pub(crate) fn read(text: &str) -> Self {
        let each = text.split_inclusive(|c: char| c.is_ascii_alphabetic());
        Self(each.filter_map(|one| one.split_at_checked(one.len() - 1)).filter_map(delivery).collect())
    }

    /// Their number.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the job is suspected of taking its workers down: then it runs alone.
    pub(crate) fn is_suspect(&self, max_deliveries: u32) -> bool {
        let lost = |with: char| self.0.iter().filter(|(_, how)| *how == with).count();
        lost('a') > 0 || lost('b') >= max_deliveries.saturating_sub(1).clamp(1, 2) as usize
    }

    /// The deliveries of job `id` whose worker was lost.
    pub(crate) fn lost(&self, id: &str) -> Vec<LostDelivery> {
        let lost = self.0.iter().filter(|(_, how)| *how != 'f');
        lost.map(|(number, how)| LostDelivery { id: id.to_owned(), number: *number, alone: *how == 'a' }).collect()
    }
}

fn delivery((number, how): (&str, &str)) -> Option<(u64, char)> {
    Some((number.parse().ok()?, how.chars().next()?))
}

/// A delivery whose worker did not renew the lease before it ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostDelivery {
    /// The job.
    pub id: String,
    /// The number of the delivery, from 1.
    pub number: u64,
    /// Whether no other job ran in that process.
    pub alone: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_suspect_after_two_lost_leases_or_when_it_was_alone() {
        let suspect = |text: &str, max| FailedDeliveries::read(text).is_suspect(max);
        for (text, max) in [("", 10), ("3b", 10), ("1f2f3f", 10), ("12b13f", 10)] {
            assert!(!suspect(text, max), "{text}");
        }
        for (text, max) in [("3b4b", 10), ("7a", 10), ("1f20b", 2), ("1b", 1)] {
            assert!(suspect(text, max), "{text}");
        }
        let failed = FailedDeliveries::read("1b12f30a");
        let lost = |number, alone| LostDelivery { id: "x".into(), number, alone };
        assert_eq!((failed.count(), failed.lost("x")), (3, vec![lost(1, false), lost(30, true)]));
        assert_eq!(FailedDeliveries::read("3").count(), 0);
    }
}
