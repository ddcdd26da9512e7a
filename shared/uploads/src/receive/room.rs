//! Memory for chunks that were cut and are not stored yet, of all uploads of a process together.

use std::sync::Arc;

use gristmill_platform::config::LimitsConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all uploads share; a file waits for its turn when it is taken.
const SHARED: u64 = 256 << 20;
/// Chunks of one upload that are on their way at most: it finds room for them when it is alone.
const ONES: u64 = 5;
/// What room is counted in.
const UNIT: u64 = 1 << 10;

/// Room for chunks. Cheap to clone: it is the same room.
#[derive(Clone)]
pub struct Room {
    units: u32,
    free: Arc<Semaphore>,
}

/// The room that a chunk takes, until it is dropped.
pub(super) struct Taken(#[expect(dead_code, reason = "dropping it gives the room back")] Option<OwnedSemaphorePermit>);

impl Room {
    /// For files that are cut by these limits.
    #[must_use]
    pub fn new(limits: &LimitsConfig) -> Self {
        let chunk = limits.chunk_bytes.saturating_add(limits.max_record_bytes);
        Self::of(chunk.saturating_mul(ONES).max(SHARED))
    }

    /// For so many bytes.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let units = units.min(most);
        Self { units, free: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits until there is room for a chunk. One that is larger than the whole room takes all of it.
    pub(super) async fn take(&self, bytes: usize) -> Taken {
        let units = u32::try_from((bytes as u64).div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        // It fails only when the semaphore is closed, which nobody does.
        Taken(Arc::clone(&self.free).acquire_many_owned(units).await.ok())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_chunk_waits_for_its_room() {
        let room = Room::of(100 << 10);
        let (first, second) = (room.take(60 << 10).await, room.take(40 << 10).await);
        assert!(room.take(1).now_or_never().is_none());
        drop(second);
        assert!(room.take(41 << 10).now_or_never().is_none());
        let third = room.take(40 << 10).now_or_never();
        assert!(third.is_some());
        drop((first, third));
        // Larger than all there is.
        let all = room.take(1 << 30).await;
        assert!(room.take(1).now_or_never().is_none());
        drop(all);
        assert_eq!(room.free.available_permits(), 100);
    }

    #[test]
    fn one_upload_alone_has_room_for_all_it_holds() {
        let limits = LimitsConfig::default();
        assert_eq!(Room::new(&limits).units, 256 << 10);
        let large = LimitsConfig { chunk_bytes: 256 << 20, ..limits };
        assert_eq!(Room::new(&large).units, (5 * 257) << 10);
    }
}
