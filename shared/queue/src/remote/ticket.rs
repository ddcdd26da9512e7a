//! What a delivery is known by outside.

use crate::JobId;

/// One delivery of a job. `delivery` tells it from every other delivery of the job, also of other rounds (attempts, and runs that
/// were none, as they were snoozed, slept or waited), for which the broker begins to count again; it fits into the 53 bits of a
/// number in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The job.
    pub id: JobId,
    /// Which delivery.
    pub delivery: u64,
}

/// Below this the number of the delivery, above it the job's round.
const ROUND: u32 = 32;

impl Ticket {
    pub(super) fn new(id: JobId, round: i32, number: u64) -> Self {
        Self { id, delivery: u64::from(round.unsigned_abs()) << ROUND | (number & u64::from(u32::MAX)) }
    }

    /// The number by which the broker knows it.
    pub(super) fn number(self) -> u64 {
        self.delivery & u64::from(u32::MAX)
    }

    /// The job's round when it was delivered.
    pub(super) fn round(self) -> i32 {
        i32::try_from(self.delivery >> ROUND).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        for (round, number) in [(0, 1), (7, 1), (65_535, u64::from(u32::MAX))] {
            let ticket = Ticket::new(Uuid::nil().into(), round, number);
            assert_eq!((ticket.round(), ticket.number()), (round, number));
            assert!(ticket.delivery < 1 << 53);
        }
        assert_eq!(Ticket::new(Uuid::nil().into(), 0, 1).delivery, 1);
        assert_eq!(Ticket { id: Uuid::nil().into(), delivery: u64::MAX }.round(), i32::MAX);
    }
}
