//! What a delivery is known by outside.

use crate::JobId;

/// One delivery of a job. `delivery` tells it from every other delivery of the job, also of other rounds (attempts, and runs that
/// were none, as they were snoozed, slept or waited), for which the broker begins to count again; it fits into the 53 bits of a
/// number in JSON, so of a round's number it has the lowest 21.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The job.
    pub id: JobId,
    /// Which delivery.
    pub delivery: u64,
}

/// Below this the number of the delivery, above it the job's round.
const ROUND: u32 = 32;
/// What is left of 53 bits. A report is late by one round or two, never by the two million that have the same bits.
const ROUNDS: u32 = 1 << 21;

impl Ticket {
    pub(super) fn new(id: JobId, round: i32, number: u64) -> Self {
        Self { id, delivery: u64::from(truncate(round)) << ROUND | (number & u64::from(u32::MAX)) }
    }

    /// The number by which the broker knows it.
    pub(super) fn number(self) -> u64 {
        self.delivery & u64::from(u32::MAX)
    }

    /// Whether it was delivered in this round of the job.
    pub(super) fn is_of(self, round: i32) -> bool {
        self.delivery >> ROUND == u64::from(truncate(round))
    }

    /// The round it was delivered in, as far as the number says; functions/settle_jobs.sql compares as many bits of the job's.
    pub(super) fn round(self) -> i32 {
        i32::try_from(self.delivery >> ROUND).unwrap_or(i32::MAX)
    }
}

fn truncate(round: i32) -> u32 {
    round.unsigned_abs() % ROUNDS
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        for (round, number) in [(0, 1), (7, 1), (2_097_151, u64::from(u32::MAX)), (2_097_152, 1), (i32::MAX, 9)] {
            let ticket = Ticket::new(Uuid::nil().into(), round, number);
            assert_eq!((ticket.is_of(round), ticket.number()), (true, number));
            assert!(!ticket.is_of(round - 1) && !ticket.is_of(round.wrapping_add(1)), "{round}");
            assert!(ticket.delivery < 1 << 53);
        }
        assert_eq!(Ticket::new(Uuid::nil().into(), 0, 1).delivery, 1);
        assert!(!Ticket { id: Uuid::nil().into(), delivery: u64::MAX }.is_of(i32::MAX));
    }
}
