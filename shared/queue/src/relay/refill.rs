//! What waits outside the broker comes in as there is place for it, each line in its order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{
    JobId, Queue, QueueError,
    envelope::enqueued,
    ledger::{
        relay,
        waiting_room::{self, Line},
    },
};

/// Jobs of a line that come in at a time.
const BATCH_SIZE: usize = 1_000;
/// Lines that are looked at in one round; the next one begins behind them.
const MAX_LINES_PER_ROUND: i64 = 500;
/// Time that a round may take.
const TIME_BUDGET: Duration = Duration::from_millis(300);

/// Which queues have jobs outside, and where the last round ended.
#[derive(Default)]
pub(super) struct Refill {
    queues: BTreeSet<String>,
    last: Option<Line>,
}

impl Refill {
    /// One round. Whether some still wait outside.
    pub(super) async fn round(&mut self, queue: &Queue) -> Result<bool, QueueError> {
        let mut lines =
            waiting_room::lines(queue.schema(), queue.pool(), self.last.as_ref(), MAX_LINES_PER_ROUND).await?;
        let from_start = self.last.is_none();
        self.last = None;
        if lines.len() as i64 == MAX_LINES_PER_ROUND {
            self.last = lines.last().cloned();
        } else if !from_start && lines.is_empty() {
            lines = waiting_room::lines(queue.schema(), queue.pool(), None, MAX_LINES_PER_ROUND).await?;
        }
        let mut by_queue: BTreeMap<String, Vec<Line>> =
            std::mem::take(&mut self.queues).into_iter().map(|name| (name, Vec::new())).collect();
        for line in lines {
            by_queue.entry(line.queue.clone()).or_default().push(line);
        }
        let started = Instant::now();
        for (name, lines) in by_queue {
            // Only a round that has seen all lines knows which ones are empty.
            if from_start && self.last.is_none() {
                let outside: Vec<(u8, &str)> = lines.iter().map(address).collect();
                queue.broker_queue(&name).set_lines_outside(&outside).await?;
            }
            if !lines.is_empty() {
                self.fill(queue, &lines, started).await?;
                self.queues.insert(name);
            }
        }
        Ok(!self.queues.is_empty())
    }

    /// Slices by turns, until no line of this queue has places left, or the time is over.
    async fn fill(&self, queue: &Queue, lines: &[Line], started: Instant) -> Result<(), QueueError> {
        let asked: Vec<(u8, &str)> = lines.iter().map(address).collect();
        let (broker, window) = (queue.broker_queue(&lines[0].queue), queue.config().window);
        let places = broker.capacity(window, &asked).await?;
        let mut open: Vec<(&Line, usize)> = lines
            .iter()
            .zip(places)
            .map(|(line, places)| (line, usize::try_from(places).unwrap_or(BATCH_SIZE)))
            .collect();
        let each = (BATCH_SIZE * 4 / lines.len()).clamp(16, BATCH_SIZE);
        while !open.is_empty() {
            let mut still = Vec::new();
            for (line, places) in open.into_iter().filter(|(_, places)| *places > 0) {
                let limit = each.min(places);
                if self.slice(queue, line, limit).await? {
                    still.push((line, places - limit));
                }
                if started.elapsed() > TIME_BUDGET {
                    return Ok(());
                }
            }
            open = still;
        }
        Ok(())
    }

    /// Whether the line may have more that come in.
    async fn slice(&self, queue: &Queue, line: &Line, limit: usize) -> Result<bool, QueueError> {
        let ids = waiting_room::first(queue.schema(), queue.pool(), line, limit as i64).await?;
        // Who was cancelled or done meanwhile is not among them.
        let rows = relay::rows(queue.schema(), queue.pool(), &ids).await?;
        let away: BTreeSet<JobId> = queue.refill(enqueued(rows).messages).await?.into_iter().collect();
        let gone: Vec<JobId> = ids.iter().copied().filter(|id| !away.contains(id)).collect();
        if !gone.is_empty() {
            waiting_room::leave(queue.schema(), queue.pool(), line, &gone).await?;
        }
        Ok(away.is_empty() && ids.len() == limit)
    }
}

fn address(line: &Line) -> (u8, &str) {
    (u8::try_from(line.priority).unwrap_or(9), &line.fair_key)
}
