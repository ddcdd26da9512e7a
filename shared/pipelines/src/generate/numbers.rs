use rand_pcg::{Pcg64, rand_core::Rng};

/// Pseudo-random numbers that never change.
pub(super) struct Numbers(Pcg64);

impl Numbers {
    /// Independent of the numbers of other streams.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg64::new(u128::from(seed), u128::from(stream)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `n`, uniformly: the bias of multiplying is below 2⁻³² for the small `n` used here.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A version 4 UUID.
    pub(super) fn uuid(&mut self) -> uuid::Uuid {
        let (high, low) = (self.next(), self.next());
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).into_uuid()
    }

    /// The UUID that this stream will give as its `n`-th, from 0 on, seen from where it is now.
    pub(super) fn peek_uuid(&self, n: u64) -> uuid::Uuid {
        let mut ahead = self.0.clone();
        ahead.advance(u128::from(n) * 2);
        Self(ahead).uuid()
    }
}
