//! Memory for chunks that were cut and are not stored yet, of all uploads of a process together.

use std::sync::Arc;

use gristmill_platform::config::LimitsConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that all uploads share; a chunk waits while they are taken.
const SHARED_BYTES: u64 = 256 << 20;
/// Chunks that one upload may have on their way: an upload that is alone finds memory for all of them.
const CHUNKS_PER_UPLOAD: u64 = 5;
/// Bytes per permit of the semaphore.
const PERMIT_BYTES: u64 = 1 << 10;

/// The memory budget of chunks. A clone shares it.
#[derive(Clone)]
pub struct MemoryBudget {
    units: u32,
    free: Arc<Semaphore>,
}

/// The memory of one chunk; dropping it returns it to the budget.
pub(super) struct MemoryPermit(
    #[expect(dead_code, reason = "dropping it returns the memory")] Option<OwnedSemaphorePermit>,
);

impl MemoryBudget {
    /// The budget for files that are cut by these limits.
    #[must_use]
    pub fn new(limits: &LimitsConfig) -> Self {
        let chunk = limits.chunk_bytes.saturating_add(limits.max_record_bytes);
        Self::of(chunk.saturating_mul(CHUNKS_PER_UPLOAD).max(SHARED_BYTES))
    }

    /// A budget of `bytes`.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let units = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let max = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let units = units.min(max);
        Self { units, free: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits until there is memory for a chunk. A chunk larger than the whole budget takes all of it.
    pub(super) async fn take(&self, bytes: usize) -> MemoryPermit {
        let units = u32::try_from((bytes as u64).div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX).min(self.units);
        // It fails only when the semaphore is closed, which nobody does.
        MemoryPermit(Arc::clone(&self.free).acquire_many_owned(units).await.ok())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_chunk_waits_for_its_memory() {
        let memory = MemoryBudget::of(100 << 10);
        let (first, second) = (memory.take(60 << 10).await, memory.take(40 << 10).await);
        assert!(memory.take(1).now_or_never().is_none());
        drop(second);
        assert!(memory.take(41 << 10).now_or_never().is_none());
        let third = memory.take(40 << 10).now_or_never();
        assert!(third.is_some());
        drop((first, third));
        // Larger than all there is.
        let all = memory.take(1 << 30).await;
        assert!(memory.take(1).now_or_never().is_none());
        drop(all);
        assert_eq!(memory.free.available_permits(), 100);
    }

    #[test]
    fn one_upload_alone_has_room_for_all_it_holds() {
        let limits = LimitsConfig::default();
        assert_eq!(MemoryBudget::new(&limits).units, 256 << 10);
        let large = LimitsConfig { chunk_bytes: 256 << 20, ..limits };
        assert_eq!(MemoryBudget::new(&large).units, (5 * 257) << 10);
    }
}
